"""A registered model, trained again from its own data and compared with itself.

Belongs here: training again, the comparison, what makes one impossible (other data, other code).
Does not belong here: bringing the data back (training.rebuild), the experiment (training.experiment).

The same data, configuration, seed and code are trained again. On one machine with the same libraries the figures come out
equal to the last digit; another processor may add up in another order, so :data:`TOLERANCE` is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nexus.errors import Category, NexusError
from nexus.settings import Settings
from training import experiment, tracking
from training.experiment import HYBRID
from training.hybrid.config import HybridConfig
from training.provenance import code_version, environment
from training.rebuild import Restored

TOLERANCE = 0.002
"""Largest difference of a figure between the registered and the rebuilt model (all figures lie between 0 and 1)."""
PATIENCE = 20
"""The clock may take so many times the installation's limit: an exact repetition must not be cut short."""


@dataclass(frozen=True)
class Figure:
    """One figure of the registered and of the rebuilt model."""

    candidate: str
    metric: str
    registered: float
    rebuilt: float
    difference: float
    tolerance: float

    @property
    def is_within(self) -> bool:
        """Whether they agree; a figure that is not a number never does."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Retrained:
    """A model trained again."""

    figures: tuple[Figure, ...]
    registered_winner: str
    winner: str
    equal_ranks: float
    seconds: float
    notes: tuple[str, ...]

    @property
    def is_within_tolerance(self) -> bool:
        """Whether every figure agrees and the same candidate won."""
        return self.winner == self.registered_winner and all(figure.is_within for figure in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "is_within_tolerance": self.is_within_tolerance,
            "tolerance": TOLERANCE,
            "largest_difference": max((figure.difference for figure in self.figures), default=0.0),
            "equal_ranks": self.equal_ranks,
            "registered_winner": self.registered_winner,
            "winner": self.winner,
            "seconds": round(self.seconds, 1),
            "metrics": [asdict(figure) | {"is_within": figure.is_within} for figure in self.figures],
            "notes": list(self.notes),
        }


def retrain(settings: Settings, restored: Restored, *, is_any_code: bool = False) -> Retrained:
    """Train again as registered, and compare.

    Args:
        settings: Where the registry is.
        restored: The model's data.
        is_any_code: Train even though the code has changed since.

    Raises:
        NexusError: ``conflict`` when the data or the code are not those of the registered model.
    """
    tags = restored.tags
    _refuse_other_data(restored)
    notes = list(_other_code(restored.version, tags, is_any_code=is_any_code))
    record = tracking.record_of(settings, restored.version)
    config, seed = _configuration(restored.version, record)
    if tags.get(tracking.LIMITED_TAG) == "true":
        notes.append("the clock ended the registered training early; this one goes on to the end")
    notes += _other_libraries(settings, restored.version)
    done = experiment.run(
        restored.found.dataset, config, seed=seed, max_seconds=settings.training.max_seconds * PATIENCE
    )
    ranks = done.record()["ranks"]
    pairs = [
        (one, other)
        for name, registered in record["ranks"].items()
        for one, other in zip(registered, ranks.get(name, []), strict=False)
    ]
    return Retrained(
        figures=tuple(_figures(record["metrics"], done.table())),
        registered_winner=record["winner"],
        winner=done.winner.name,
        equal_ranks=sum(one == other for one, other in pairs) / max(len(pairs), 1),
        seconds=sum(done.seconds.values()),
        notes=tuple(notes),
    )


def _refuse_other_data(restored: Restored) -> None:
    if not restored.matches:
        raise NexusError(
            f"the data of version {restored.version} are not what it was trained on",
            category=Category.CONFLICT,
            field="data_hash",
            value=restored.data_hash,
            remedy=f"bring back the data with hash {restored.registered_data_hash} first: see the notes above",
        )


def _other_code(version: str, tags: Mapping[str, str], *, is_any_code: bool) -> list[str]:
    """A note when other code is allowed to train; else an error that says where the right one is."""
    registered, own = tags.get(tracking.CODE_TAG, "unknown"), code_version()
    if registered == own:
        return []
    said = f"version {version} was trained by other code ({registered}, commit {tags.get('git_commit')}; here: {own})"
    if is_any_code:
        return [said]
    raise NexusError(
        said,
        category=Category.CONFLICT,
        field="code_version",
        value=own,
        remedy=f"check out commit {tags.get('git_commit')}, or compare with today's code: --any-code",
    )


def _configuration(version: str, record: Mapping[str, Any]) -> tuple[HybridConfig, int]:
    config = dict(record["configs"][HYBRID])
    seed = int(config.pop("seed"))
    try:
        return HybridConfig(**config), seed
    except ValueError as error:
        raise NexusError(
            f"the configuration of version {version} does not fit this code",
            category=Category.CONFLICT,
            field="config",
            value=str(error).splitlines()[0],
            remedy="check out the commit that it was trained with: bin/nexus models show VERSION",
        ) from error


def _other_libraries(settings: Settings, version: str) -> list[str]:
    registered = json.loads(tracking.fetch(settings, version, tracking.ENVIRONMENT_FILE))
    return [
        f"{name} is {own} here and was {registered.get(name)}"
        for name, own in environment().items()
        if name != "git_commit" and registered.get(name) != own
    ]


def _figures(registered: Mapping[str, Mapping[str, float]], rebuilt: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    nothing = float("nan")
    return [
        Figure(
            candidate,
            metric,
            value,
            again := rebuilt.get(candidate, {}).get(metric, nothing),
            abs(value - again),
            TOLERANCE,
        )
        for candidate, metrics in sorted(registered.items())
        for metric, value in sorted(metrics.items())
    ]
