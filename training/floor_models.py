"""The floors behind the one interface of models: each chooses its settings on validation titles and is counted anew for the test.

Belongs here: popularity, recent popularity, transition counts, item-kNN and EASE as models. Does not belong here: how the
served floors are counted (training.floors), the evaluator, the mixture.

==================  =================================================================================================
``popularity``      how often a title was met
``recent``          how often in the last 7 days of what is learned from; without times: in the newest tenth of each history
``transitions``     what was met a few steps after the viewer's last titles, by other viewers
``item-knn``        cosine of the viewers of two titles, shrunk (Bell and Koren 2007), the nearest titles of each
``ease``            EASE (Steck 2019), with and without decay of the query
==================  =================================================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nexus.errors import Category, NexusError
from training import floors
from training.dataset import SECONDS_PER_DAY, Dataset, Floats, History, Ints, Split
from training.evaluation import Scorer, evaluate
from training.floors import Fitted
from training.linear import incidence
from training.models_api import Tell
from training.neighbours import ROWS, strongest

if TYPE_CHECKING:
    from training.export import Exported

FLOORS = ("popularity", "recent", "transitions", "item-knn", "ease")
RECENT_DAYS = 7.0
RECENT_SHARE = 0.1
SHRINKS = (0.0, 20.0, 100.0)
NEIGHBOURS = 200
KNN_RECENCIES = ((10_000, 1.0), (100, 0.9), (20, 0.8))
CHOOSING_ROWS = 10_000
"""Settings are chosen on so many validation titles at most."""
EASE_VIEWERS = 15_000
"""EASE inverts a matrix of viewers or titles, whichever are fewer; where both are more, it learns from so many viewers."""
PACKED_ENTRIES = 12_000_000
"""Of an exported floor's table: about 100 MB."""
LONGEST = 200
"""Titles of a history that an exported floor looks at, at most."""


@dataclass(frozen=True)
class FittedFloor:
    """A floor with its settings: a scorer, counted anew by :meth:`refit`."""

    name: str
    settings: Mapping[str, Any]
    fitted: Fitted
    again: Callable[[Sequence[History]], Fitted]
    history_length: int

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores of the whole catalogue."""
        return self.fitted.scores(histories, contexts)

    def refit(self, learn: Sequence[History]) -> FittedFloor:
        """The same settings over other histories."""
        return FittedFloor(self.name, self.settings, self.again(learn), self.again, self.history_length)

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write ONNX; in catalogues over some thousands of titles only the strongest neighbours of each title are kept."""
        import torch

        from training.export import export
        from training.models.mixture import AdditiveScorer, RecencyWeigher

        fitted, length = self.fitted, self.history_length
        weigher = RecencyWeigher(torch.from_numpy(fitted.source), length, fitted.last, fitted.decay)
        index, near = packed(fitted, max(1, PACKED_ENTRIES // dataset.size))
        tensors = (torch.from_numpy(array) for array in (index, near, fitted.static))
        return export(AdditiveScorer(weigher, *tensors).eval(), dataset, path, history_length=length)


@dataclass(frozen=True)
class FloorModel:
    """A floor that is still to be counted.

    Attributes:
        name: One of :data:`FLOORS`.
        days: Of ``recent``.
    """

    name: str
    days: float = RECENT_DAYS

    def fit(
        self,
        dataset: Dataset,
        learn: Sequence[History],
        *,
        validation: Split | None,
        seed: int,
        budget_s: float,
        tell: Tell,
    ) -> Scorer:
        """Choose settings by NDCG@10 on the validation titles; without these, take the first ones tried.

        The clock ends the search when settings are left, never before the first.
        """
        if not any(map(len, learn)):
            raise NexusError(
                "there is nothing to learn from",
                category=Category.CONFLICT,
                field="learn",
                value=f"{len(learn)} histories",
                remedy="give data with more viewers",
            )
        asked = None if validation is None else _some_of(validation, seed)
        started, best, figure, tried = time.monotonic(), None, -1.0, 0
        for fitted in self._candidates(dataset, learn, None):
            ndcg = 0.0 if asked is None else float(evaluate(fitted, asked, dataset.size).ndcg_10.mean())
            tried += 1
            if ndcg > figure:
                best, figure = fitted, ndcg
            if asked is None or time.monotonic() - started > budget_s:
                break
        assert best is not None  # noqa: S101 (every floor has one setting at least, and no NDCG is under 0)
        words = (
            "first settings taken" if asked is None else f"NDCG@10 {figure:.4f} on validation titles, best of {tried}"
        )
        tell(f"{self.name}: {words}")
        config = best.config

        def again(histories: Sequence[History]) -> Fitted:
            return next(self._candidates(dataset, histories, config))

        longest = max((len(history) for history in dataset.histories), default=1)
        length = max(1, min(best.last or 1, longest, LONGEST))
        return FittedFloor(self.name, dict(config), best, again, length)

    def _candidates(
        self, dataset: Dataset, learn: Sequence[History], only: dict[str, float] | None
    ) -> Iterator[Fitted]:
        if self.name == "recent":
            return _recent(dataset, learn, self.days)
        if self.name == "item-knn":
            return _item_knn([history.items for history in learn], dataset.size, only)
        counted = few(learn) if self.name == "ease" and dataset.size > EASE_VIEWERS else learn
        return floors.candidates(self.name, counted, dataset.size, only)


def packed(fitted: Fitted, width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """The rows of a floor's table, at most ``width`` entries each, the largest by size.

    Returns:
        Titles ``[N+1, W]`` (0: nothing) and their weights ``[N+1, 1, W]``.
    """
    size = len(fitted.source)
    width = min(width, max(_longest_row(fitted), 1))
    index, near = np.zeros((size, width), np.int32), np.zeros((size, 1, width), np.float32)
    for start in range(0, size, ROWS):
        rows = np.arange(start, min(start + ROWS, size))
        dense = _rows(fitted, rows)
        kept = np.argpartition(-np.abs(dense), width - 1, axis=1)[:, :width]
        near[rows, 0] = np.take_along_axis(dense, kept, axis=1)
        index[rows] = np.where(near[rows, 0] != 0, kept, 0)
    return index, near


def _longest_row(fitted: Fitted) -> int:
    if fitted.ease is not None:
        return fitted.ease.size
    return 0 if fitted.table is None else int(np.diff(fitted.table.indptr).max())


def _rows(fitted: Fitted, rows: Ints) -> Floats:
    if fitted.ease is not None:
        return fitted.ease.rows(rows)
    if fitted.table is not None:
        return np.asarray(fitted.table[rows].toarray(), dtype=np.float32)
    return np.zeros((len(rows), len(fitted.source)), np.float32)


def _some_of(split: Split, seed: int) -> Split:
    if len(split) <= CHOOSING_ROWS:
        return split
    rows = np.sort(np.random.default_rng(seed).choice(len(split), CHOOSING_ROWS, replace=False))
    at_s = None if split.asked_at_s is None else split.asked_at_s[rows]
    return Split(split.name, tuple(split.histories[i] for i in rows), split.targets[rows], split.contexts[rows], at_s)


def few(learn: Sequence[History]) -> Sequence[History]:
    """At most :data:`EASE_VIEWERS` histories, drawn; the same ones each time."""
    if len(learn) <= EASE_VIEWERS:
        return learn
    rows = np.random.default_rng(0).choice(len(learn), EASE_VIEWERS, replace=False)
    return [learn[int(row)] for row in np.sort(rows)]


def _recent(dataset: Dataset, learn: Sequence[History], days: float) -> Iterator[Fitted]:
    """Titles by how often they were met lately, then by how often at all."""
    if dataset.has_times:
        now = max(float(history.at_s[-1]) for history in learn if len(history))
        recent = [history.items[history.at_s > now - days * SECONDS_PER_DAY] for history in learn]
        config = {"days": days}
    else:
        recent = [history.items[-max(1, round(RECENT_SHARE * len(history))) :] for history in learn]
        config = {"newest_share": RECENT_SHARE}
    size = dataset.size
    lately, ever = (
        np.bincount(np.concatenate(list(part)), minlength=size) for part in (recent, [h.items for h in learn])
    )
    _, place = np.unique(np.stack([lately, ever], axis=1), axis=0, return_inverse=True)
    nothing = np.zeros(size, np.float32)
    yield Fitted("recent", config, static=place.ravel().astype(np.float32), source=nothing)


def _item_knn(sequences: Sequence[Ints], size: int, only: dict[str, float] | None) -> Iterator[Fitted]:
    nothing, ones = np.zeros(size, np.float32), np.ones(size, np.float32)
    shrinks = [only["shrink"]] if only else SHRINKS
    for shrink, table in zip(shrinks, cosine_tables(sequences, size, shrinks, NEIGHBOURS), strict=True):
        for last, decay in [(int(only["last"]), only["query_decay"])] if only else KNN_RECENCIES:
            config = {"shrink": shrink, "neighbours": float(NEIGHBOURS), "last": float(last), "query_decay": decay}
            yield Fitted("item-knn", config, static=nothing, source=ones, last=last, decay=decay, table=table)


def cosine_table(sequences: Sequence[Ints], size: int, shrink: float, width: int) -> sp.csr_matrix:
    """The nearest titles of each, ``[N+1, N+1]``: common viewers / (sqrt(viewers of both) + shrink); no title is near itself."""
    (table,) = cosine_tables(sequences, size, (shrink,), width)
    return table


def cosine_tables(
    sequences: Sequence[Ints], size: int, shrinks: Sequence[float], width: int
) -> tuple[sp.csr_matrix, ...]:
    """:func:`cosine_table` for several shrinks; common viewers are counted once."""
    seen = incidence(sequences, size)
    transposed = seen.T.tocsr()
    norms = np.sqrt(np.asarray(seen.sum(axis=0), dtype=np.float32).ravel())
    parts: list[list[sp.csr_matrix]] = [[] for _ in shrinks]
    for start in range(0, size, ROWS):
        rows = np.arange(start, min(start + ROWS, size))
        common = (transposed[rows] @ seen).toarray()
        common[np.arange(len(rows)), rows] = 0.0
        of_both = norms[rows, None] * norms[None]
        for found, shrink in zip(parts, shrinks, strict=True):
            found.append(strongest(common / np.maximum(of_both + shrink, 1e-6), width))
    return tuple(sp.vstack(found, format="csr").astype(np.float32) for found in parts)
