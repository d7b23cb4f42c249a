"""The floors: what counting and linear algebra reach without a network; a model that loses to them is not served.

Belongs here: popularity, EASE, transition counts, and their choice of settings on validation titles.
Does not belong here: the evaluator (training.evaluation), export of a floor that won (training.additive).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import scipy.sparse as sp

from training.dataset import Dataset, Floats, History, Split, leave_out
from training.evaluation import Outcome, evaluate
from training.linear import Ease, incidence
from training.neighbours import pairs

WINDOWS = ((5, 0.8), (5, 1.0), (10, 0.8), (20, 0.8))
"""Steps forward that are counted, and how much less each further step counts."""
NORMS = (0.5, 0.75)
"""Counts of a source title are divided by its popularity to this power."""
RECENCIES = ((10, 0.8), (20, 0.8), (50, 0.9))
"""Titles of the history that ask, and how much less each older one counts."""
LAMBDAS = (100.0, 300.0, 1000.0)
EASE_RECENCIES = ((10_000, 1.0), (100, 0.9), (50, 0.8))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A floor with its counts: ``scores = static + sum over the history of weight(position, title) * row(title)``."""

    name: str
    config: dict[str, float]
    static: Floats
    source: Floats
    last: int = 0
    decay: float = 1.0
    table: sp.csr_matrix | None = None
    ease: Ease | None = None

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002 (the Scorer protocol)
        """Scores of the whole catalogue."""
        asked = self._queries(histories)
        if self.ease is not None:
            return self.ease.scores(asked) + self.static
        if self.table is not None:
            return np.asarray((asked @ self.table).toarray(), dtype=np.float32) + self.static
        return np.tile(self.static, (len(histories), 1))

    def _queries(self, histories: Sequence[History]) -> sp.csr_matrix:
        recent = [history.items[::-1][: self.last] for history in histories]
        rows = np.repeat(np.arange(len(recent)), [len(items) for items in recent])
        items = np.concatenate([*recent, np.zeros(0, np.int64)])
        steps = np.concatenate([*(np.arange(len(found)) for found in recent), np.zeros(0, np.int64)])
        weight = (self.decay**steps * self.source[items]).astype(np.float32)
        return sp.csr_matrix((weight, (rows, items)), shape=(len(histories), len(self.source)))


@dataclass(frozen=True, slots=True)
class Choice:
    """A floor's settings, chosen on validation, and how to fit them to other histories."""

    name: str
    config: dict[str, float]
    validation: Outcome
    fit: Callable[[Sequence[History]], Fitted] = field(repr=False)
    tried: int = 1


def choose_all(dataset: Dataset) -> list[Choice]:
    """Every floor with its best settings on validation titles."""
    split = leave_out(dataset, last=2, name="validation")
    return [choose(name, dataset, split) for name in ("popularity", "ease", "transitions")]


def choose(name: str, dataset: Dataset, split: Split, learn: Sequence[History] | None = None) -> Choice:
    """The settings of one floor with the best NDCG@10 on the split; the first of equals.

    ``learn`` is what is counted; None: the histories of the split.
    """
    size, counted = dataset.size, split.histories if learn is None else learn
    tried = [(fitted, evaluate(fitted, split, size)) for fitted in candidates(name, counted, size, None)]
    best, outcome = max(tried, key=lambda pair: float(pair[1].ndcg_10.mean()))

    def refit(histories: Sequence[History]) -> Fitted:
        return fit(name, best.config, histories, size)

    return Choice(name, best.config, outcome, refit, tried=len(tried))


def fit(name: str, config: dict[str, float], histories: Sequence[History], size: int) -> Fitted:
    """A floor with settled settings."""
    return next(candidates(name, histories, size, config))


def candidates(name: str, histories: Sequence[History], size: int, only: dict[str, float] | None) -> Iterator[Fitted]:
    """A floor with each of the settings that are tried, or with ``only`` these."""
    sequences = [history.items for history in histories]
    counts = np.bincount(np.concatenate(sequences), minlength=size).astype(np.float32)
    if name == "popularity":
        yield Fitted("popularity", {}, static=counts, source=np.zeros(size, np.float32))
    elif name == "ease":
        yield from _ease(sequences, size, only)
    else:
        yield from _transitions(sequences, counts, only)


def _ease(sequences: Sequence[np.ndarray], size: int, only: dict[str, float] | None) -> Iterator[Fitted]:
    nothing, ones = np.zeros(size, np.float32), np.ones(size, np.float32)
    seen = incidence(sequences, size)
    for strength in [only["lambda"]] if only else LAMBDAS:
        ease = Ease.fit(seen, strength)
        for last, decay in [(int(only["last"]), only["query_decay"])] if only else EASE_RECENCIES:
            config = {"lambda": strength, "last": last, "query_decay": decay}
            yield Fitted("ease", config, static=nothing, source=ones, last=last, decay=decay, ease=ease)


def _transitions(sequences: Sequence[np.ndarray], counts: Floats, only: dict[str, float] | None) -> Iterator[Fitted]:
    nothing = np.zeros(len(counts), np.float32)
    for window, decay in [(int(only["window"]), only["decay"])] if only else WINDOWS:
        table = pairs(sequences, len(counts), range(1, window + 1), decay)
        for norm, (last, query_decay) in (
            [(only["norm"], (int(only["last"]), only["query_decay"]))] if only else product(NORMS, RECENCIES)
        ):
            config = {"window": window, "decay": decay, "norm": norm, "last": last, "query_decay": query_decay}
            source = (np.maximum(counts, 1.0) ** -norm).astype(np.float32)
            yield Fitted(
                "transitions", config, static=nothing, source=source, last=last, decay=query_decay, table=table
            )
