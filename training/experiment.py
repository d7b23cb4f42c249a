"""One experiment: the network and every floor on the same data, and which of them is the candidate.

Belongs here: the order of things, the comparison on validation titles, what is written down about it.
Does not belong here: MLflow (training.tracking), Dagster (assets).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from training import floors, gate, recommender
from training.config import CPU, Compute, RecommenderConfig
from training.dataset import Dataset, History, leave_out
from training.determinism import repeatable
from training.evaluation import Outcome, evaluate, protocol
from training.floors import Fitted
from training.recommender import Neural, Prepared, Trained

NETWORK = "attention"


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate: its settings, its figures, and how to fit it to other histories."""

    name: str
    config: dict[str, Any]
    validation: Outcome = field(repr=False)
    test: Outcome = field(repr=False)
    fit: Callable[[Sequence[History]], Neural | Fitted] = field(repr=False)


@dataclass(frozen=True)
class Experiment:
    """All candidates of one run."""

    dataset: Dataset
    config: RecommenderConfig
    seed: int
    entries: dict[str, Entry]
    trained: Trained
    prepared: Prepared = field(repr=False)
    protocol: str
    seconds: dict[str, float]

    @cached_property
    def winner(self) -> Entry:
        """Best NDCG@10 on validation titles; the test titles have one say only, a veto on the network.

        A network that the gate would refuse against a floor does not stand: then the best floor does, so that there is
        something to serve on data of any size.
        """
        best = max(self.entries.values(), key=lambda entry: float(entry.validation.ndcg_10.mean()))
        if best.name != NETWORK:
            return best
        others = {name: entry for name, entry in self.entries.items() if name != NETWORK}
        ranks = {name: entry.test.ranks.tolist() for name, entry in others.items()}
        if gate.decide(best.test.ranks.tolist(), ranks, None, is_floor=False).is_accepted:
            return best
        return max(others.values(), key=lambda entry: float(entry.validation.ndcg_10.mean()))

    @property
    def is_time_limited(self) -> bool:
        """Whether the clock ended the training: then nobody can train quite the same again."""
        return len(self.trained.curve) < 1 + self.config.mixture_epochs + self.config.attention_epochs

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
        }


def run(
    dataset: Dataset, config: RecommenderConfig, *, seed: int, max_seconds: float, compute: Compute = CPU
) -> Experiment:
    """Train and evaluate everything; the same data, configuration, seed and code give the same figures."""
    with repeatable(seed, threads=recommender.THREADS):
        return _run(dataset, config, seed=seed, max_seconds=max_seconds, compute=compute)


def _run(dataset: Dataset, config: RecommenderConfig, *, seed: int, max_seconds: float, compute: Compute) -> Experiment:
    started = time.monotonic()
    chosen = floors.choose_all(dataset)
    floors_done = time.monotonic()
    prepared = recommender.prepare(dataset, config)
    prepared_done = time.monotonic()
    trained = recommender.train(prepared, seed=seed, max_seconds=max_seconds, compute=compute)
    trained_done = time.monotonic()
    test = leave_out(dataset, last=1, name="test")

    def fit_network(histories: Sequence[History]) -> Neural:
        return recommender.rebuilt(trained, prepared, histories)

    entries = {
        NETWORK: Entry(
            NETWORK,
            config.model_dump() | {"seed": seed},
            trained.validation,
            evaluate(fit_network(test.histories), test, dataset.size),
            fit_network,
        )
    }
    for choice in chosen:
        outcome = evaluate(choice.fit(test.histories), test, dataset.size)
        entries[choice.name] = Entry(choice.name, dict(choice.config), choice.validation, outcome, choice.fit)
    seconds = {
        "floors": floors_done - started,
        "prepare": prepared_done - floors_done,
        "train": trained_done - prepared_done,
        "test": time.monotonic() - trained_done,
    }
    words = protocol(dataset, held_out="test = each viewer's last title, choices on the one before")
    return Experiment(dataset, config, seed, entries, trained, prepared, words, seconds)
