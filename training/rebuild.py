"""A registered model's data, brought back and compared with what was registered.

Belongs here: bringing the snapshot back (from DVC, else from the lake's history), the hash.
Does not belong here: training again (training.retrain), what a snapshot is (training.snapshot), DVC (training.dvc).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from deltalake.exceptions import DeltaError

from nexus.errors import Category, NexusError
from nexus.lake.lake import opened
from nexus.settings import Settings
from training import registry, snapshot
from training.dvc import Store
from training.snapshot import Pin, Source

REBUILDING = ".rebuild-"


@dataclass(frozen=True)
class Restored:
    """A model's data, brought back.

    Attributes:
        source: ``dvc``, or ``lake``: read again at the registered versions of its tables.
        is_bit_identical: Every file has the SHA-256 that was registered.
        notes: What was found on the way.
    """

    version: str
    registered_data_hash: str
    data_hash: str
    source: str
    folder: Path
    is_bit_identical: bool
    notes: tuple[str, ...]
    pin: Pin
    tags: Mapping[str, str] = field(repr=False)
    found: Source = field(repr=False)

    @property
    def matches(self) -> bool:
        """Whether the data are those that the model was trained on."""
        return self.data_hash == self.registered_data_hash

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "version": self.version,
            "data_hash": self.data_hash,
            "registered_data_hash": self.registered_data_hash,
            "matches": self.matches,
            "is_bit_identical": self.is_bit_identical,
            "source": self.source,
            "folder": str(self.folder),
            "files": {name: facts.model_dump() for name, facts in snapshot.measured(self.folder).items()},
            "data_version": self.pin.versions,
            "rows": self.found.interactions.height,
            "notes": list(self.notes),
        }


def restore(settings: Settings, version: str, into: Path | None = None) -> Restored:
    """Bring back the data of a registered version.

    Args:
        settings: Where registry, store and lake are.
        version: Its number, or an alias.
        into: Where the files shall lie; default: ``$NEXUS_HOME/rebuilt/VERSION``.

    Raises:
        NexusError: ``not_found`` for an unknown version, or one without a snapshot; ``unavailable`` when neither DVC nor the
            lake has its data any more.
    """
    number, tags = _registered(settings, version)
    pin = snapshot.pin_of(tags)
    if pin is None:
        raise NexusError(
            f"version {number} was registered without a snapshot of its data",
            category=Category.NOT_FOUND,
            field="version",
            value=version,
            remedy="run bin/nexus pipeline run: models are registered with one now",
        )
    target = into or settings.home / "rebuilt" / number
    settings.home.mkdir(parents=True, exist_ok=True)
    snapshot.sweep(settings.home, REBUILDING)
    with tempfile.TemporaryDirectory(dir=settings.home, prefix=REBUILDING) as temporary:
        prepared = Path(temporary) / "snapshot"
        notes: list[str] = []
        source = "dvc" if _from_dvc(settings, pin, prepared, notes) else "lake"
        if source == "lake":
            prepared = Path(temporary) / "lake"
            _from_lake(settings, pin, prepared, notes)
        snapshot.replace(target, prepared)
    found = snapshot.load(target, pin.versions)
    return Restored(
        version=number,
        registered_data_hash=tags["data_hash"],
        data_hash=found.dataset.data_hash,
        source=source,
        folder=target,
        is_bit_identical=not snapshot.check(target, pin) and bool(pin.files),
        notes=tuple(notes),
        pin=pin,
        tags=tags,
        found=found,
    )


def _registered(settings: Settings, version: str) -> tuple[str, Mapping[str, str]]:
    client, name = registry.client(settings), settings.mlflow.model_name
    number = version if version.isdigit() else registry.aliased(client, name, version) or version
    found = registry.require(client, name, number)
    return str(found.version), found.tags


def _from_dvc(settings: Settings, pin: Pin, folder: Path, notes: list[str]) -> bool:
    """Whether the files are there, each with its SHA-256; else why not, as notes."""
    if pin.dvc is None:
        notes.append(f"no copy in DVC: {pin.note}")
        return False
    try:
        Store.from_settings(settings).restore(pin.dvc, folder, notes)
    except (NexusError, OSError) as error:
        notes.append(f"DVC has no whole copy: {error.message if isinstance(error, NexusError) else error}")
        return False
    wrong = snapshot.check(folder, pin)
    notes += [f"DVC's copy is damaged: {one}" for one in wrong]
    return not wrong


def _from_lake(settings: Settings, pin: Pin, folder: Path, notes: list[str]) -> None:
    """Read the tables as they were; raises when the lake has forgotten them."""
    try:
        with opened(settings) as lake:
            found = snapshot.read(lake, pin.context_features, pin.versions)
    except (NexusError, DeltaError, pl.exceptions.PolarsError, OSError) as error:
        reason = error.message if isinstance(error, NexusError) else str(error).partition("\n")[0]
        raise NexusError(
            f"the model's data can't be had again: {'; '.join(notes)}; the lake has lost them too: {reason}"[:600],
            category=Category.UNAVAILABLE,
            field="version",
            value=str(pin.versions),
            remedy="restore $NEXUS_HOME/dvc or the lake from a backup, or set training.dvc_remote to a copy",
        ) from error
    snapshot.export(found, folder)
    if snapshot.check(folder, pin):
        notes.append("the same rows may be written with other bytes by another version of the Parquet writer")
