"""Many runs of ``bin/nexus train``: recipes, seeds and values on the same data, kept in MLflow and compared there.

Belongs here: which runs, which of them are done, when to stop. Does not belong here: one run (training.run), the table
(training.tables), the asset (assets.models.sweep).

A run is known by its fingerprint (recipe, values, protocol, data, seed, device, code): what MLflow has is not trained again, so a
sweep that was stopped goes on where it was. Folders of unfinished runs are kept; their floors and checkpoints are used again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.settings import Settings
from training import protocols, registry, run
from training.files.reading import Loaded
from training.models_api import Tell
from training.recipes import registry as recipes
from training.recipes.values import with_values
from training.run_folder import RANKS, SUMMARY, claimed

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "sweeps"
FINGERPRINT = "fingerprint"


@dataclass(frozen=True)
class Wanted:
    """What is to be compared.

    Attributes:
        recipes: Names, as ``bin/nexus train --list`` gives them.
        seeds: Each recipe is trained with each.
        overrides: Values that replace the recipe's, one variant each; an empty one is the recipe as it is.
        protocol: Name of a protocol.
        budget_s: No run begins after so many seconds; the one under way is finished.
    """

    recipes: Sequence[str]
    seeds: Sequence[int]
    overrides: Sequence[Mapping[str, Any]] = ({},)
    protocol: str = "leave-one-out"
    budget_s: float = 3600.0


@dataclass(frozen=True)
class Done:
    """One finished run, as MLflow has it."""

    variant: str
    seed: int
    metrics: dict[str, float]
    is_new: bool


@dataclass(frozen=True)
class Sweep:
    """What came of it.

    Attributes:
        done: Finished runs, of before and of now.
        left: How many are not trained yet.
        words: What happened, in one sentence.
        protocol: The words that go with every figure.
    """

    done: tuple[Done, ...]
    left: int
    words: str
    protocol: str


@dataclass(frozen=True)
class _Cell:
    variant: str
    order: run.Order

    @property
    def fingerprint(self) -> str:
        text = json.dumps(self.order.identity(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def sweep(
    settings: Settings,
    loaded: Loaded,
    wanted: Wanted,
    *,
    folder: Path,
    device: str = "cpu",
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> Sweep:
    """Train what is wanted and not known yet, until the budget is spent.

    Args:
        settings: Where MLflow is.
        loaded: The data.
        wanted: What is compared.
        folder: Runs have their folders there, by fingerprint.
        device: ``cpu`` or ``gpu``.
        tell: Takes lines of progress.
        clock: Seconds.

    Raises:
        NexusError: an unknown recipe, protocol or value; MLflow does not answer.
    """
    cells = tuple(_cells(loaded, wanted, device))
    client = registry.client(settings)
    known = _known(client, cells)
    done: list[Done] = []
    left: list[_Cell] = []
    started, longest = clock(), 0.0
    for cell in cells:
        if cell.fingerprint in known:
            done.append(replace(known[cell.fingerprint], variant=cell.variant))
            continue
        spent = clock() - started
        has_begun = any(one.is_new for one in done)
        if left or spent >= wanted.budget_s or (has_begun and spent + longest > wanted.budget_s):
            left.append(cell)
            continue
        tell(f"{cell.variant}, seed {cell.order.seed}: {len(done) + 1} of {len(cells)}")
        began = clock()
        done.append(_trained(settings, cell, folder / cell.fingerprint, tell))
        longest = max(longest, clock() - began)
    return Sweep(tuple(done), len(left), _words(done, left, wanted), cells[0].order.task.words if cells else "")


def _cells(loaded: Loaded, wanted: Wanted, device: str) -> Iterator[_Cell]:
    task = protocols.named(wanted.protocol).make(loaded.dataset)
    for name, values, seed in product(wanted.recipes, wanted.overrides or ({},), wanted.seeds):
        recipe = with_values(recipes.named(name), values)
        variant = " ".join([name, *(f"{key}={value}" for key, value in sorted(values.items()))])
        yield _Cell(variant, run.Order(recipe, loaded, task, seed, device))


def _known(client: MlflowClient, cells: Sequence[_Cell]) -> dict[str, Done]:
    """Finished runs by fingerprint."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None or not cells:
        return {}
    asked = f"attributes.status = 'FINISHED' and tags.data_hash = '{cells[0].order.loaded.dataset.data_hash}'"
    found, token = {}, None
    while True:
        page = client.search_runs([experiment.experiment_id], asked, max_results=1000, page_token=token)
        for one in page:
            if FINGERPRINT in one.data.tags:
                seed = int(one.data.tags["seed"])
                found[one.data.tags[FINGERPRINT]] = Done("", seed, dict(one.data.metrics), is_new=False)
        token = page.token
        if not token:
            return found


def _trained(settings: Settings, cell: _Cell, out: Path, tell: Tell) -> Done:
    with claimed(out, cell.order.identity()) as folder:
        summary = run.run(cell.order, folder, tell)
    figures = _figures(summary)
    _log(settings, cell, summary, figures, out)
    return Done(cell.variant, cell.order.seed, figures, is_new=True)


def _figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """MLflow allows no ``@`` in names."""
    candidates = summary["candidates"]
    figures = {name.replace("@", "_"): float(value) for name, value in summary["metrics"].items()}
    for name, found in candidates.items():
        figures |= {f"{name}.{key.replace('@', '_')}": float(value) for key, value in found["metrics"].items()}
    floors = summary["floors"].values()
    return figures | {
        "validation_ndcg_10": float(candidates[summary["model"]]["validation_ndcg@10"]),
        "best_floor_ndcg_10": max(float(found["ndcg@10"]) for found in floors),
        "seconds": float(summary["seconds"]),
    }


def _log(settings: Settings, cell: _Cell, summary: Mapping[str, Any], figures: Mapping[str, float], out: Path) -> None:
    """The run, its fingerprint with it: one that is cut off has no end and is written again."""
    registry.client(settings)
    import mlflow

    mlflow.set_experiment(EXPERIMENT)
    order = cell.order
    tags = {
        "recipe": order.recipe.name,
        "variant": cell.variant,
        "protocol": order.task.name,
        "data_hash": str(summary["data_hash"]),
        "seed": str(order.seed),
        "device": order.device,
        "kind": str(summary["model"]),
        FINGERPRINT: cell.fingerprint,
    }
    with mlflow.start_run(run_name=f"{cell.variant} {order.seed}", tags=tags):
        mlflow.log_params({"recipe": order.recipe.name, "seed": order.seed, "device": order.device})
        mlflow.log_params({name: str(value)[:500] for name, value in order.recipe.values.items()})
        mlflow.log_metrics(dict(figures))
        for name in (SUMMARY, RANKS):
            mlflow.log_artifact(str(out / name))


def _words(done: Sequence[Done], left: Sequence[_Cell], wanted: Wanted) -> str:
    new = sum(one.is_new for one in done)
    said = f"{new} runs trained, {len(done) - new} known from before"
    if not left:
        return f"{said}: the sweep is complete"
    return f"{said}; {len(left)} left, since {wanted.budget_s / 60:g} minutes are spent: run it again to go on"
