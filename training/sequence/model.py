"""The sequence model behind the interface of all models: from histories to a scorer.

Belongs here: putting data, configuration and place together, one process or several. Does not belong here: the loop, values
(training.recipes.sequence).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.errors import Category, NexusError
from training.config import CPU, Compute
from training.dataset import Dataset, Floats, History, Split
from training.models_api import quiet
from training.sequence import devices
from training.sequence.batches import Packed, pack
from training.sequence.checkpoint import Progress
from training.sequence.config import SequenceConfig
from training.sequence.devices import Place
from training.sequence.loop import Training
from training.sequence.scorer import SequenceScorer
from training.sequence.work import Work

if TYPE_CHECKING:
    from training.sequence.net import SequenceNet

FIRST_SPREAD = 0.02


@dataclass(slots=True)
class SequenceModel:
    """A sequence transformer to be trained.

    Attributes:
        config: Of network and training.
        compute: Where, unless :meth:`use_device` says otherwise.
        threads: Of a training on the CPU; 0: as many as there are cores. Figures repeat exactly for the same number only.
        folder: Where checkpoints are kept; None: nowhere.
        save_every_s: Seconds of training that a kill may cost.
    """

    config: SequenceConfig
    compute: Compute = CPU
    threads: int = 0
    folder: Path | None = None
    save_every_s: float = 120.0
    device: str = "auto"
    name: str = field(default="sequence")

    def keep_in(self, folder: Path) -> None:
        """Where the checkpoint is, or shall be."""
        self.folder = folder

    def use_device(self, device: str) -> None:
        """``auto``, ``cpu`` or ``gpu``."""
        self.device = device

    def fit(
        self,
        dataset: Dataset,
        learn: Sequence[History],
        *,
        validation: Split | None,
        seed: int,
        budget_s: float,
        tell: Callable[[str], None],
    ) -> SequenceScorer:
        """Train; see training.models_api.Model."""
        from training.determinism import repeatable

        work, place = self.order(dataset, learn, validation=validation, seed=seed, budget_s=budget_s)
        threads = self.threads or devices.threads()
        with repeatable(seed, threads=threads), devices.rounding(place):
            if self.compute.is_distributed:
                from training.sequence.processes import train_together

                scorer, progress = train_together(work, place, self.compute.devices, threads)
            else:
                scorer, progress = train(work, place, tell)
        return finished(scorer, progress, work, place, threads)

    def order(
        self, dataset: Dataset, learn: Sequence[History], *, validation: Split | None, seed: int, budget_s: float
    ) -> tuple[Work, Place]:
        """What is to be trained, and where.

        Raises:
            NexusError: category ``conflict``: all histories are empty.
        """
        packed = pack(learn)
        if not packed.events:
            raise NexusError(
                "there is no history to learn from",
                category=Category.CONFLICT,
                field="interactions",
                value=f"{len(learn)} empty histories",
                remedy="load more ratings",
            )
        has_time = dataset.has_times and (validation is None or validation.asked_at_s is not None)
        config = self.config.model_copy(update={"has_time": self.config.has_time and has_time})
        work = Work(
            config,
            packed,
            dataset.size,
            seed,
            budget_s,
            validation,
            self.folder,
            identity(config, packed, dataset.size, seed),
            first_embeddings(learn, dataset.size, config),
            self.save_every_s,
        )
        return work, devices.chosen(self.device, self.compute)


def finished(scorer: SequenceScorer, progress: Progress, work: Work, place: Place, threads: int) -> SequenceScorer:
    """A trained network with what the training came to, on the CPU."""
    config = work.config
    scorer.net.cpu()
    again = None
    if config.refit_epochs:
        again = partial(continued, config=config, size=work.size, seed=work.seed, place=place, threads=threads)
    return replace(scorer, settings=_settings(config, place, threads, progress), again=again)


def train(work: Work, place: Place, tell: Callable[[str], None]) -> tuple[SequenceScorer, Progress]:
    """Train in this process."""
    training = Training(work, place, tell)
    progress = training.run()
    return SequenceScorer(training.net, work.size), progress


def continued(
    net: SequenceNet,
    learn: Sequence[History],
    *,
    config: SequenceConfig,
    size: int,
    seed: int,
    place: Place,
    threads: int,
) -> SequenceScorer:
    """A few more epochs at a low rate over other histories of the same catalogue, from a trained network's weights.

    The number of epochs and the rate are the recipe's: the histories end where the test titles begin, so nothing is left to
    choose by. One process is enough for it.
    """
    from training.determinism import repeatable

    short = config.model_copy(update={"epochs": config.refit_epochs, "lr": config.lr * config.refit_lr})
    work = Work(short, pack(learn), size, seed, float("inf"), None, None, "")
    with repeatable(seed, threads=threads), devices.rounding(place):
        training = Training(work, place, quiet)
        training.start_from({name: value.to(place.device) for name, value in net.named_parameters()})
        training.run()
    return SequenceScorer(training.net.cpu(), size)


def identity(config: SequenceConfig, packed: Packed, size: int, seed: int) -> str:
    """Equal when the same training is asked for: configuration, histories, vocabulary, seed."""
    digest = hashlib.sha256(f"{config.model_dump_json()} {size} {seed}".encode())
    for array in (packed.items, packed.starts, packed.times):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def first_embeddings(learn: Sequence[History], size: int, config: SequenceConfig) -> Floats | None:
    """Embeddings to begin with, from a truncated SVD of who met what; None when chance decides."""
    if config.start == "random":
        return None
    import numpy as np

    from training.recommender import factorise

    kept = [history for history in learn if len(history)]
    popularity = np.bincount(np.concatenate([h.items for h in kept]), minlength=size).astype(np.float32)
    if min(len(kept), size) <= 2:
        return None
    factors = factorise(kept, popularity, config.width)
    noise = np.random.default_rng(0).normal(size=factors.shape)
    mixed = factors / max(float(factors.std()), 1e-6) + 0.3 * noise
    return (FIRST_SPREAD * mixed / mixed.std()).astype(np.float32)


def _settings(config: SequenceConfig, place: Place, threads: int, progress: Progress) -> dict[str, Any]:
    return {
        **config.model_dump(),
        "device": place.device,
        "is_half": place.is_half,
        "threads": threads,
        "epochs_done": progress.epoch,
        "best_epoch": progress.curve[progress.best]["epoch"] if progress.curve else progress.epoch,
        "is_time_limited": progress.is_time_limited,
        "events_per_s": round(progress.trained_events / max(progress.seconds, 1e-9), 1),
        "curve": progress.curve,
    }
