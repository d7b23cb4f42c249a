"""One run of ``bin/nexus train``: data, protocol, floors, the recipe's model, and the files that say what came of it.

Belongs here: the order of things. Does not belong here: printing (training.train_cli), the folder's rules
(training.run_folder), models, what the platform trains by itself (training.experiment).

Every choice is made on the protocol's validation titles, also which candidate is the model; the test titles are ranked once,
in the end.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nexus.settings import ROOT
from training import metrics, run_export
from training.content.vectors import TextVectors
from training.evaluation import Outcome, Scorer, evaluate
from training.files.reading import Loaded
from training.floor_models import FLOORS, FloorModel
from training.models_api import (
    Composed,
    Explained,
    Exportable,
    Model,
    OnDevice,
    Refittable,
    Resumable,
    TakesVectors,
    Tell,
    TooLittleError,
)
from training.protocols import Task
from training.provenance import commit
from training.recipes.registry import Recipe
from training.run_folder import RANKS, SUMMARY, RunFolder

NO_LIMIT_S = 30 * 86_400.0
FLOORS_SHARE = 0.3
"""Of the budget, at most, for the floors together."""


@dataclass(frozen=True)
class Order:
    """What was asked for."""

    recipe: Recipe
    loaded: Loaded
    task: Task
    seed: int
    device: str
    budget_s: float | None = None
    vectors: TextVectors | None = None

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with."""
        return {
            "recipe": self.recipe.name,
            "values": self.recipe.values,
            "protocol": self.task.name,
            "data_hash": self.loaded.dataset.data_hash,
            "seed": self.seed,
            "device": self.device,
            "budget_s": self.budget_s,
            "code": _code(),
        } | ({} if self.vectors is None else {"vectors": self.vectors.sha256})


def _code() -> str:
    """A hash of the room's source: what other code has begun is not gone on with."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "training").rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Judged:
    """A candidate with its figures."""

    name: str
    metrics: dict[str, float]
    validation_ndcg: float
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "metrics": self.metrics,
            "validation_ndcg@10": self.validation_ndcg,
            "seconds": round(self.seconds, 1),
            "settings": self.settings,
        } | ({"parts": self.parts} if self.parts else {})


@dataclass(frozen=True)
class _Measured:
    """A candidate with what it takes to write its files."""

    judged: Judged
    scorer: Scorer
    outcome: Outcome


def run(order: Order, folder: RunFolder, tell: Tell) -> dict[str, Any]:
    """Everything, or what is left of it; returns the summary. A finished run is not repeated."""
    finished = folder.summary()
    if finished is not None:
        tell("this run is finished already: nothing to do")
        return finished
    started = time.monotonic()
    floors = {name: _floor(name, order, folder, tell) for name in FLOORS}
    left = NO_LIMIT_S if order.budget_s is None else max(order.budget_s - (time.monotonic() - started), 1.0)
    model = _model(order, folder, left, tell)
    best = _chosen(order, floors, model, tell)
    summary = _summary(order, best, floors, model, time.monotonic() - started)
    summary["onnx"] = _files(order, best, summary, folder, tell)
    folder.write(SUMMARY, summary)
    return summary


def _model(order: Order, folder: RunFolder, left_s: float, tell: Tell) -> _Measured | None:
    """The recipe's model; None where it has none, or may give way to a floor and the data are too few for it."""
    if order.recipe.build is None:
        return None
    model = _prepared(order.recipe.build(), order, folder)
    try:
        return _measured(model, order, left_s, tell)
    except TooLittleError as error:
        if not order.recipe.takes_best:
            raise
        tell(f"{model.name} cannot be trained on these data, {error.message} ({error.value}): the best floor is taken")
        return None


def _floor(name: str, order: Order, folder: RunFolder, tell: Tell) -> Judged:
    kept = folder.part(f"floor-{name}")
    if kept is not None:
        tell(f"{name}: kept from the interrupted run")
        return Judged(name, kept["metrics"], kept["validation_ndcg@10"], kept["seconds"], kept["settings"])
    measured = _measured(FloorModel(name), order, _floor_budget(order), tell)
    folder.keep(f"floor-{name}", measured.judged.as_dict() | {"ranks": measured.outcome.ranks.tolist()})
    return measured.judged


def _floor_budget(order: Order) -> float:
    return NO_LIMIT_S if order.budget_s is None else order.budget_s * FLOORS_SHARE / len(FLOORS)


def _prepared(model: Model, order: Order, folder: RunFolder) -> Model:
    if isinstance(model, OnDevice):
        model.use_device(order.device)
    if isinstance(model, TakesVectors) and order.vectors is not None:
        model.use_vectors(order.vectors.of)
    if isinstance(model, Resumable):
        folder.checkpoint.mkdir(exist_ok=True)
        model.keep_in(folder.checkpoint)
    return model


def _measured(model: Model, order: Order, budget_s: float, tell: Tell) -> _Measured:
    """Fit on ``learn`` with choices on validation titles, count anew on ``relearn`` where that is possible, rank the test."""
    task, dataset = order.task, order.loaded.dataset
    started = time.monotonic()
    is_quick = order.recipe.is_quick and isinstance(model, FloorModel)
    validation = None if is_quick else task.validation
    fitted = model.fit(dataset, task.learn, validation=validation, seed=order.seed, budget_s=budget_s, tell=tell)
    ndcg = float(evaluate(fitted, task.validation, dataset.size).ndcg_10.mean(dtype=np.float64))
    scorer = fitted.refit(task.relearn) if isinstance(fitted, Refittable) else fitted
    outcome = evaluate(scorer, task.test, dataset.size)
    found = metrics.figures(outcome, task.test.targets, task.relearn)
    if task.sets is not None:
        found |= metrics.set_figures(scorer, task.sets)
    if task.unseen is not None:
        found |= metrics.unseen_figures(scorer, task.test, task.unseen)
    settings = dict(fitted.settings) if isinstance(fitted, Explained) else {}
    seconds = time.monotonic() - started
    alone = _parts(scorer, order) if isinstance(scorer, Composed) else {}
    return _Measured(Judged(model.name, found, ndcg, seconds, settings, alone), scorer, outcome)


def _parts(scorer: Composed, order: Order) -> dict[str, dict[str, float]]:
    """The test figures of every part alone; nothing is chosen by them."""
    task, size = order.task, order.loaded.dataset.size
    return {
        name: metrics.figures(evaluate(part, task.test, size), task.test.targets, task.relearn)
        for name, part in scorer.every_part(task.relearn).items()
    }


def _chosen(order: Order, floors: Mapping[str, Judged], model: _Measured | None, tell: Tell) -> _Measured:
    """The recipe's model, or the floor that ranks validation titles best, where the recipe allows it."""
    best = max(floors.values(), key=lambda judged: judged.validation_ndcg)
    if model is not None and not (order.recipe.takes_best and best.validation_ndcg > model.judged.validation_ndcg):
        return model
    tell(f"{best.name} is the model: it ranks the validation titles best")
    return _measured(FloorModel(best.name), order, _floor_budget(order), _nobody)


def _nobody(line: str) -> None:
    """The floor has told its story before."""


def _summary(
    order: Order, best: _Measured, floors: Mapping[str, Judged], model: _Measured | None, seconds: float
) -> dict[str, Any]:
    dataset, task = order.loaded.dataset, order.task
    candidates = [*floors.values(), *([] if model is None else [model.judged])]
    return {
        "recipe": order.recipe.name,
        "protocol": task.name,
        "data_hash": dataset.data_hash,
        "seed": order.seed,
        "device": order.device,
        "seconds": round(seconds, 1),
        "metrics": best.judged.metrics,
        "floors": {name: judged.metrics for name, judged in floors.items()},
        "model": best.judged.name,
        "words": task.words,
        "budget_s": order.budget_s,
        "vectors_sha256": None if order.vectors is None else order.vectors.sha256,
        "data": {
            "origin": order.loaded.origin,
            "viewers": len(dataset.viewers),
            "titles": dataset.size - 1,
            "events": sum(map(len, dataset.histories)),
            "asked": len(task.test),
            "has_times": dataset.has_times,
            "notes": list(order.loaded.notes),
        },
        "candidates": {judged.name: judged.as_dict() for judged in candidates},
        "made_by": {"commit": commit(), "python": platform.python_version(), "machine": platform.machine()},
    }


def _files(
    order: Order, best: _Measured, summary: Mapping[str, Any], folder: RunFolder, tell: Tell
) -> dict[str, Any] | None:
    """``ranks.csv`` and the model's files; None when the model cannot be written as ONNX."""
    folder.write_rows(RANKS, ("user", "item", "rank", "candidates"), _rank_rows(order, best.outcome))
    if not isinstance(best.scorer, Exportable):
        tell(f"{best.judged.name} has no ONNX form: model.onnx is not written")
        return None
    facts = {
        "version": f"{order.recipe.name}-{order.seed}",
        "kind": best.judged.name,
        "metrics": best.judged.metrics,
        "floors": summary["floors"],
        "protocol": order.task.words,
    }
    dataset, test = order.loaded.dataset, order.task.test
    found = run_export.write(folder, best.scorer, dataset, test, best.outcome.ranks, facts)
    tell(f"model.onnx: {found['equal_ranks']:.1%} of {found['rows_checked']} ranks are the measured ones")
    return found


def _rank_rows(order: Order, outcome: Outcome) -> Sequence[tuple[str, str, int, int]]:
    names = order.loaded.dataset.vocabulary
    return [
        (viewer, names[int(target)], int(rank), int(candidates))
        for viewer, target, rank, candidates in zip(
            order.task.viewers, order.task.test.targets, outcome.ranks, outcome.candidates, strict=True
        )
    ]
