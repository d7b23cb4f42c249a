"""Several networks that differ by their seed, and the mean of their scores: what each has learned by chance cancels out.

Belongs here: the average as a model and as a scorer. Does not belong here: one network (model), processes (side_by_side).

On small data most of what one network gets wrong is chance: the mean of a few ranks better than any of them (deep ensembles,
Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.config import CPU, Compute
from training.dataset import Dataset, Floats, History, Split
from training.models_api import Tell
from training.sequence import devices
from training.sequence.config import SequenceConfig
from training.sequence.devices import Place
from training.sequence.model import SequenceModel, finished
from training.sequence.scorer import SequenceScorer, Times
from training.sequence.side_by_side import THREADS, SideBySide
from training.sequence.work import Work

BETWEEN_SEEDS = 100_003
SMALL = 200_000
"""Events of all epochs under which a training is over before a process has started."""


@dataclass(frozen=True, slots=True)
class AverageScorer:
    """The mean of several networks' scores.

    Attributes:
        members: The networks; all look at as many titles.
        settings: What the trainings came to, for the summary.
    """

    members: tuple[SequenceScorer, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def history_length(self) -> int:
        """The newest titles that are looked at."""
        return self.members[0].history_length

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores ``[n, N+1]``, asked for at the time of each newest event."""
        return _mean([member.scores(histories, contexts) for member in self.members])

    def scores_at(self, histories: Sequence[History], contexts: Floats, asked_at_s: Times) -> Floats:
        """The same, asked for at given seconds since 1970."""
        return _mean([member.scores_at(histories, contexts, asked_at_s) for member in self.members])

    def refit(self, learn: Sequence[History]) -> AverageScorer:
        """Train each on over histories that reach further, as far as the recipe wants it."""
        return replace(self, members=tuple(member.refit(learn) for member in self.members))


@dataclass(frozen=True)
class Several:
    """Networks of one configuration to be trained.

    Attributes:
        config: Of each.
        count: How many.
        compute: Where.
        device: ``auto``, ``cpu`` or ``gpu``.
        folder: Where checkpoints are kept, a folder for each; None: nowhere.
    """

    config: SequenceConfig
    count: int
    compute: Compute = CPU
    device: str = "auto"
    folder: Path | None = None

    @contextmanager
    def training(
        self,
        dataset: Dataset,
        learn: Sequence[History],
        *,
        validation: Split | None,
        seed: int,
        budget_s: float,
        beside_s: float | None = None,
        tell: Tell,
    ) -> Iterator[Callable[[], AverageScorer]]:
        """Trainings that go on beside the block, and what waits for them.

        On a CPU with one core, on a GPU and for a training of seconds they are done when they are waited for, one after the
        other; the networks are the same.

        Args:
            dataset: Titles and viewers.
            learn: Histories to learn from.
            validation: Titles that say when to stop; None: all epochs.
            seed: Of the first network.
            budget_s: Seconds for all of them, one after the other.
            beside_s: Seconds for all of them where they go on beside the block; None: as many.
            tell: Where progress goes.
        """
        models = [self._model(number) for number in range(self.count)]
        seeds = [seed + BETWEEN_SEEDS * number for number in range(self.count)]
        rounds = -(-self.count // devices.threads())

        def order(number: int) -> tuple[Work, Place]:
            return models[number].order(
                dataset, learn, validation=validation, seed=seeds[number], budget_s=(beside_s or budget_s) / rounds
            )

        def one(number: int) -> SequenceScorer:
            return models[number].fit(
                dataset,
                learn,
                validation=validation,
                seed=seeds[number],
                budget_s=budget_s / self.count,
                tell=lambda line: tell(f"network {number + 1} of {self.count}: {line}"),
            )

        first, place = order(0)
        if not self._is_beside(first, place):
            yield lambda: _average([one(number) for number in range(self.count)])
            return
        works = [first, *(order(number)[0] for number in range(1, self.count))]
        with SideBySide(works, place, tell) as running:
            yield lambda: _average(
                [finished(*found, work, place, THREADS) for found, work in zip(running.results(), works, strict=True)]
            )

    def _model(self, number: int) -> SequenceModel:
        folder = None if self.folder is None else self.folder / f"network-{number + 1}"
        return SequenceModel(self.config, self.compute, THREADS, folder, device=self.device)

    def _is_beside(self, work: Work, place: Place) -> bool:
        is_alone = place.device != "cpu" or self.compute.is_distributed or devices.threads() == 1
        return not is_alone and work.packed.events * work.config.epochs > SMALL


def _average(members: Sequence[SequenceScorer]) -> AverageScorer:
    """With the first one's settings, and what the others came to beside them."""
    settings = members[0].settings | {
        "is_time_limited": any(member.settings["is_time_limited"] for member in members),
        "networks": [
            {name: member.settings[name] for name in ("best_epoch", "epochs_done", "curve")} for member in members
        ],
    }
    return AverageScorer(tuple(members), settings)


def _mean(found: Sequence[Floats]) -> Floats:
    total = found[0].copy()
    for other in found[1:]:
        total += other
    total /= np.float32(len(found))
    return total
