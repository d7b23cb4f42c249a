"""One experiment: the hybrid and every floor on the same data, and which of them is the candidate.

Belongs here: the order of things, the comparison on validation titles, what is written down about it.
Does not belong here: MLflow (training.tracking), Dagster (assets).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from nexus import logs
from training import floors, gate, recommender
from training.bundle_format import TRAINED
from training.config import CPU, Compute
from training.dataset import Dataset, History, Split, leave_out
from training.determinism import repeatable
from training.evaluation import Outcome, Scorer, evaluate, protocol
from training.hybrid import stored
from training.hybrid.config import HybridConfig
from training.hybrid.fitted import MIXTURE, SEQUENCE, FittedHybrid
from training.hybrid.model import HybridModel, validated
from training.models_api import TooLittleError

HYBRID = TRAINED[0]
_LOG = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate: its settings, its figures, and how to fit it to other histories."""

    name: str
    config: dict[str, Any]
    validation: Outcome = field(repr=False)
    test: Outcome = field(repr=False)
    fit: Callable[[Sequence[History]], Scorer] = field(repr=False)


@dataclass(frozen=True)
class Experiment:
    """All candidates of one run."""

    dataset: Dataset
    config: HybridConfig
    seed: int
    entries: dict[str, Entry]
    hybrid: FittedHybrid = field(repr=False)
    protocol: str
    seconds: dict[str, float]

    @cached_property
    def winner(self) -> Entry:
        """Best NDCG@10 on validation titles of hybrid and floors; the test titles have one say only, a veto on the hybrid.

        A hybrid that the gate would refuse against a floor does not stand: then the best floor does, so that there is
        something to serve on data of any size. Its trained parts are in the table and do not stand by themselves.
        """
        others = {name: entry for name, entry in self.entries.items() if name not in TRAINED}
        best = max((self.entries[HYBRID], *others.values()), key=lambda entry: float(entry.validation.ndcg_10.mean()))
        if best.name != HYBRID:
            return best
        ranks = {name: entry.test.ranks.tolist() for name, entry in others.items()}
        if gate.decide(best.test.ranks.tolist(), ranks, None, is_floor=False).is_accepted:
            return best
        return max(others.values(), key=lambda entry: float(entry.validation.ndcg_10.mean()))

    @property
    def is_time_limited(self) -> bool:
        """Whether the clock ended the training: then nobody can train quite the same again."""
        mixture, trained = self.config.mixture, self.hybrid.trained
        epochs = 0 if mixture is None else mixture.mixture_epochs + mixture.attention_epochs
        is_short = MIXTURE in trained and len(trained[MIXTURE]["curve"]) < 1 + epochs
        return is_short or bool(trained.get(SEQUENCE, {}).get("is_time_limited"))

    @property
    def curves(self) -> dict[str, list[dict[str, float]]]:
        """Loss and validation NDCG@10 by epoch of each trained part."""
        return {name: facts["curve"] for name, facts in self.hybrid.trained.items()}

    def table(self) -> dict[str, dict[str, float]]:
        """Test figures and the validation NDCG@10 by candidate."""
        return {
            name: entry.test.metrics() | {"validation_ndcg_10": float(entry.validation.ndcg_10.mean())}
            for name, entry in self.entries.items()
        }

    def record(self) -> dict[str, Any]:
        """What the gate and later comparisons need, as plain data: ranks of all candidates on the same viewers."""
        return {
            "data_hash": self.dataset.data_hash,
            "protocol": self.protocol,
            "winner": self.winner.name,
            "metrics": self.table(),
            "configs": {name: entry.config for name, entry in self.entries.items()},
            "ranks": {name: entry.test.ranks.tolist() for name, entry in self.entries.items()},
            "blend": stored.facts_of(self.hybrid),
        }


def run(dataset: Dataset, config: HybridConfig, *, seed: int, max_seconds: float, compute: Compute = CPU) -> Experiment:
    """Train and evaluate everything; the same data, configuration, seed and code give the same figures."""
    with repeatable(seed, threads=recommender.THREADS):
        return _run(dataset, config, seed=seed, max_seconds=max_seconds, compute=compute)


def _run(dataset: Dataset, config: HybridConfig, *, seed: int, max_seconds: float, compute: Compute) -> Experiment:
    started = time.monotonic()
    chosen = floors.choose_all(dataset)
    floors_done = time.monotonic()
    validation = leave_out(dataset, last=2, name="validation")
    hybrid = _hybrid(dataset, config, validation, seed=seed, max_seconds=max_seconds, compute=compute)
    trained_done = time.monotonic()
    entries = _entries(dataset, config, hybrid, seed)
    test = leave_out(dataset, last=1, name="test")
    for choice in chosen:
        outcome = evaluate(choice.fit(test.histories), test, dataset.size)
        entries[choice.name] = Entry(choice.name, dict(choice.config), choice.validation, outcome, choice.fit)
    seconds = {
        "floors": floors_done - started,
        "train": trained_done - floors_done,
        "test": time.monotonic() - trained_done,
    }
    words = protocol(dataset, held_out="test = each viewer's last title, choices on the one before")
    return Experiment(dataset, config, seed, entries, hybrid, words, seconds)


def _hybrid(
    dataset: Dataset, config: HybridConfig, validation: Split, *, seed: int, max_seconds: float, compute: Compute
) -> FittedHybrid:
    """With its trained parts, or of counted parts alone where the data are too few to train on."""

    def fitted(wanted: HybridConfig) -> FittedHybrid:
        return HybridModel(wanted, compute=compute).fit(
            dataset, validation.histories, validation=validation, seed=seed, budget_s=max_seconds, tell=_told
        )

    try:
        return fitted(config)
    except TooLittleError as error:
        _LOG.warning("too_little_for_the_trained_parts", reason=error.message, found=error.value)
        return fitted(config.model_copy(update={"mixture": None, "sequence": None}))


def _entries(dataset: Dataset, config: HybridConfig, hybrid: FittedHybrid, seed: int) -> dict[str, Entry]:
    """The hybrid and its trained parts."""
    validation, test = (leave_out(dataset, last=last, name=name) for last, name in ((2, "validation"), (1, "test")))
    every = hybrid.maker.parts(test.histories, {*hybrid.parts, *TRAINED})
    settings = config.model_dump(mode="json") | {"seed": seed}
    entries = {
        HYBRID: Entry(
            HYBRID,
            settings,
            validated(hybrid, validation),
            evaluate(replace(hybrid, parts=hybrid.ordered(every)), test, dataset.size),
            hybrid.refit,
        )
    }
    for name in TRAINED[1:]:
        if name in every:
            before = hybrid.parts.get(name) or hybrid.maker.parts(validation.histories, {name}, is_new=False)[name]
            entries[name] = Entry(
                name,
                settings,
                evaluate(before, validation, dataset.size),
                evaluate(every[name], test, dataset.size),
                partial(_part, hybrid, name),
            )
    return entries


def _part(hybrid: FittedHybrid, name: str, histories: Sequence[History]) -> Scorer:
    return hybrid.maker.parts(histories, {name})[name]


def _told(line: str) -> None:
    _LOG.info("training", progress=line)
