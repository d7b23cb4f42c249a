"""The hybrid as a model: parts, which of them count and how much, all chosen on the validation titles.

Belongs here: what is fitted on what. Does not belong here: parts, features, weights, selection, the graph (their own modules
beside this one), the two trained parts (training.recommender, training.sequence).

Parts learn from the histories before the validation titles. Which parts are taken and what each counts is learned on the
validation titles, by cross-validation over viewers (training.hybrid.selection). The served scorer's parts are counted over
everything that may be learned from, with the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexus.errors import Category, NexusError, invalid
from training.config import CPU, Compute
from training.dataset import Dataset, Floats, History, Ints, Split
from training.evaluation import Outcome, Scorer, evaluate
from training.hybrid import features, parts, selection
from training.hybrid import gate as gates
from training.hybrid.config import HybridConfig
from training.hybrid.fitted import MIXTURE, SEQUENCE, FittedHybrid, Maker
from training.hybrid.selection import Step
from training.models_api import Tell
from training.recommender import Neural

if TYPE_CHECKING:
    from training.sequence.several import AverageScorer

FEWEST = 20
"""Validation titles that parts are chosen on, and viewers that the mixture is trained on; with fewer the best part stands alone."""
MIXTURE_SHARE = 0.5
"""Of the budget, at most, for the mixture."""
BESIDE_SHARE = 0.75
"""Of the budget, at most, for networks that train beside the mixture; the rest is for choosing."""
HALF = "bf16-mixed"


@dataclass
class HybridModel:
    """The hybrid to be trained.

    Attributes:
        config: Settings.
        compute: Where the trained parts are trained.
        device: ``auto``, ``cpu`` or ``gpu``.
        folder: Where the sequence transformers keep their checkpoints; None: nowhere.
        name: As it stands in tables.
    """

    config: HybridConfig
    compute: Compute = CPU
    device: str = "auto"
    folder: Path | None = None
    name: str = field(default="hybrid")

    def keep_in(self, folder: Path) -> None:
        """Where checkpoints are, or shall be."""
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
        tell: Tell,
    ) -> FittedHybrid:
        """Train and count the parts, choose and weigh them on the validation titles.

        Raises:
            NexusError: category ``conflict`` when there is nothing to learn from, ``invalid`` without validation titles.
        """
        from training import recommender
        from training.determinism import repeatable

        _refuse(learn, validation)
        assert validation is not None  # noqa: S101 (refused above)
        with repeatable(seed, threads=recommender.THREADS), ExitStack() as under_way:
            # The networks train in processes of their own while the mixture does in this one.
            networks = self._networks(under_way, dataset, learn, validation, seed, budget_s, tell)
            mixture, of_mixture = self._mixture(dataset, learn, validation, seed, budget_s * MIXTURE_SHARE, tell)
            sequence = None if networks is None else networks()
            of_sequence = {} if sequence is None else {SEQUENCE: dict(sequence.settings)}
            maker = Maker(dataset, self.config, mixture, sequence)
            every = maker.parts(learn, is_new=False)
            found = self._chosen(every, validation, maker, seed)
            tell(f"{self.name}: {_words(found)}")
            return replace(found, trained={**of_mixture, **of_sequence})

    def _mixture(
        self, dataset: Dataset, learn: Sequence[History], validation: Split, seed: int, budget_s: float, tell: Tell
    ) -> tuple[Callable[[Sequence[History]], Neural] | None, Mapping[str, Any]]:
        from training import recommender

        config = self.config.mixture
        if config is None:
            return None, {}
        if sum(len(history) > config.earliest for history in learn) < FEWEST:
            tell(f"{self.name}: too few viewers for the mixture, it is left out")
            return None, {}
        prepared = recommender.prepare_from(dataset, config, learn, validation)
        compute = self.compute if self.device == "auto" else replace(self.compute, accelerator=self.device)
        trained = recommender.train(prepared, seed=seed, max_seconds=budget_s, compute=compute)
        tell(f"{self.name}: the mixture is trained, {trained.seconds:.0f} s")
        facts = {"best_epoch": trained.best_epoch, "curve": trained.curve, "seconds": trained.seconds}
        return recommender.Rebuilder(trained, prepared), {MIXTURE: facts}

    def _networks(
        self,
        under_way: ExitStack,
        dataset: Dataset,
        learn: Sequence[History],
        validation: Split,
        seed: int,
        budget_s: float,
        tell: Tell,
    ) -> Callable[[], AverageScorer] | None:
        from training.sequence.several import Several

        config = self.config.sequence_for(sum(map(len, learn)))
        if config is None:
            return None
        compute = replace(self.compute, precision=HALF) if self.compute == CPU else self.compute
        several = Several(config, self.config.networks, compute, self.device, self.folder)
        return under_way.enter_context(
            several.training(
                dataset,
                learn,
                validation=validation,
                seed=seed,
                budget_s=budget_s * (1.0 - MIXTURE_SHARE),
                beside_s=budget_s * BESIDE_SHARE,
                tell=tell,
            )
        )

    def _chosen(self, every: Mapping[str, Scorer], validation: Split, maker: Maker, seed: int) -> FittedHybrid:
        config, names, size = self.config, list(every), maker.dataset.size
        alone = {
            name: float(evaluate(part, validation, size).ndcg_10.mean(dtype=np.float64)) for name, part in every.items()
        }
        rows = _drawn(len(validation), config.viewers, seed)
        examples, kept = features.examples(
            list(every.values()),
            [name not in parts.NEVER_BENT for name in names],
            some_rows(validation, rows),
            length=config.history_length,
            top=config.top,
            drawn=config.drawn,
            seed=seed,
        )
        if len(examples) < FEWEST:
            best = max(alone, key=lambda name: alone[name])
            step = Step(best, alone[best], alone[best], 0.0)
            return FittedHybrid({best: every[best]}, np.ones(1, np.float32), maker, (step,), alone)
        asked = some_rows(validation, rows[kept])
        known = gates.facts(asked.histories, asked.contexts, config.history_length)
        found = selection.chosen(replace(examples, facts=known), names, config, seed)
        taken = {names[place]: every[names[place]] for place in found.parts}
        hybrid = FittedHybrid(taken, found.weights, maker, found.steps, alone, gate=found.gate, tried=found.tried)
        unbiased = hybrid.weights_of(validation.histories, validation.contexts)
        unbiased[rows[kept]] = found.unbiased
        return replace(hybrid, unbiased=unbiased)


@dataclass(frozen=True)
class _Unbiased:
    """The hybrid with each validation viewer's own weights."""

    hybrid: FittedHybrid
    row_of: Mapping[int, int]

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        assert self.hybrid.unbiased is not None  # noqa: S101 (made for such hybrids only)
        weights = self.hybrid.unbiased[[self.row_of[id(history)] for history in histories]]
        return self.hybrid.weighed(histories, contexts, None, weights)


def validated(hybrid: FittedHybrid, validation: Split) -> Outcome:
    """The hybrid on the validation titles it was weighed on, each viewer by weights that were learned without them.

    Its parts must still be those over the histories before these titles. Which parts there are was chosen on all of the
    viewers; their weights were not.
    """
    size = hybrid.maker.dataset.size
    if hybrid.unbiased is None:
        return evaluate(hybrid, validation, size)
    return evaluate(_Unbiased(hybrid, {id(h): row for row, h in enumerate(validation.histories)}), validation, size)


def some_rows(split: Split, rows: Ints) -> Split:
    """A few rows of a split."""
    at_s = None if split.asked_at_s is None else split.asked_at_s[rows]
    return Split(
        split.name,
        tuple(split.histories[row] for row in rows.tolist()),
        split.targets[rows],
        split.contexts[rows],
        at_s,
    )


def _drawn(count: int, at_most: int, seed: int) -> Ints:
    if count <= at_most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, at_most, replace=False))


def _refuse(learn: Sequence[History], validation: Split | None) -> None:
    if not any(map(len, learn)):
        raise NexusError(
            "there is nothing to learn from",
            category=Category.CONFLICT,
            field="learn",
            value=f"{len(learn)} histories",
            remedy="give data with more viewers",
        )
    if validation is None:
        raise invalid(
            "the hybrid chooses its parts on validation titles",
            field="validation",
            value=None,
            remedy="give a validation split",
        )


def _words(found: FittedHybrid) -> str:
    chosen = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(found.parts, found.weights, strict=True))
    chosen += "" if found.gate is None else f", {found.steps[-1].part}"
    best = max(found.alone.values())
    return f"{chosen}; NDCG@10 {found.steps[-1].ndcg:.4f} on validation titles, cross-validated; the best part alone {best:.4f}"
