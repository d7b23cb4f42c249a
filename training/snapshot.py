"""The exact input of a training: read from the lake at known versions, written the same way every time, kept by DVC.

Belongs here: what is read, its files, the pin that goes with a registered model, which table versions models still need.
Does not belong here: DVC's commands (training.dvc), bringing a model's data back (training.rebuild), arrays (training.dataset).

Equal content gives equal files, byte for byte: rows in one total order, one row group size and compression, nothing about
the time or the place of writing. The files are named by their content, so models trained on the same data share them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from nexus import logs
from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake
from nexus.settings import Settings
from training import dataset, registry
from training.dataset import Dataset
from training.dvc import Kept, Store

EXAMPLES, TITLES = "training_nexus__examples", "core_nexus__titles"
ORDER = ("user_id", "position")
COLUMNS = (*ORDER, "content_id", "interaction_type", "value", "occurred_at")
INTERACTIONS_FILE, TITLES_FILE, FACTS_FILE = "interactions.parquet", "titles.parquet", "snapshot.json"
ROWS_PER_GROUP = 131_072
EXPORTING, ABANDONED_S = ".export-", 6 * 3600
SNAPSHOT_TAG, VERSIONS_TAG = "snapshot", "data_version"


class FileFacts(BaseModel):
    """What a file must be, byte for byte."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int


class Pin(BaseModel):
    """Where a model's training data can be had again; a tag of the registered version.

    Attributes:
        data_hash: Of the arrays that the model saw.
        files: The snapshot's files.
        versions: Lake table to version: the second way to the same rows.
        context_features: Columns that the model took as context.
        dvc: The copy in DVC's store; None when DVC could not be had.
        note: A word about what did not go as it should.
    """

    model_config = ConfigDict(frozen=True)

    data_hash: str
    files: dict[str, FileFacts]
    versions: dict[str, int]
    context_features: tuple[str, ...]
    dvc: Kept | None = None
    note: str = ""


@dataclass(frozen=True)
class Source:
    """The tables that a training reads, in their total order."""

    interactions: pl.DataFrame
    titles: pl.DataFrame
    context_features: tuple[str, ...]
    versions: Mapping[str, int]

    @cached_property
    def dataset(self) -> Dataset:
        """The same as arrays."""
        return dataset.build(
            self.interactions,
            self.titles,
            context_features=self.context_features,
            data_version=self.versions.get(EXAMPLES),
        )


def source(
    interactions: pl.DataFrame, titles: pl.DataFrame, context_features: Sequence[str], versions: Mapping[str, int]
) -> Source:
    """Put rows into the one order that everything else relies on, whatever order they come in."""
    rows = interactions.select(*COLUMNS, *context_features)
    known = titles.select("content_id", "year", "genres")
    text = known.with_columns(_genres=pl.col("genres").list.join("\x1f"))
    return Source(
        rows.sort(*ORDER, *rows.columns[len(ORDER) :], nulls_last=True),
        text.sort("content_id", "year", "_genres", nulls_last=True).drop("_genres"),
        tuple(context_features),
        dict(versions),
    )


def read(lake: Lake, context_features: Sequence[str], versions: Mapping[str, int] | None = None) -> Source:
    """The training input of the lake, at its newest or at the given versions.

    Raises:
        NexusError: category ``not_found`` when a table or version is not there.
    """
    at = dict(versions) if versions is not None else {name: lake.version(name) for name in (EXAMPLES, TITLES)}
    rows = lake.scan(EXAMPLES, at.get(EXAMPLES)).select(*COLUMNS, *context_features).collect()
    titles = lake.scan(TITLES, at.get(TITLES)).select("content_id", "year", "genres").collect()
    return source(
        rows, titles, context_features, {name: version for name, version in at.items() if version is not None}
    )


def export(found: Source, folder: Path) -> dict[str, FileFacts]:
    """Write the files; equal content gives equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_parquet(found.interactions, folder / INTERACTIONS_FILE)
    _write_parquet(found.titles, folder / TITLES_FILE)
    facts = {
        "format": 1,
        "data_hash": found.dataset.data_hash,
        "context_features": found.context_features,
        "tie_rule": found.dataset.tie_rule,
        "interactions": found.interactions.height,
        "titles": found.titles.height,
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return measured(folder)


def measured(folder: Path) -> dict[str, FileFacts]:
    """The files of a snapshot as they lie there."""
    facts = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            facts[path.name] = FileFacts(
                sha256=hashlib.file_digest(file, "sha256").hexdigest(), size=path.stat().st_size
            )
    return facts


def load(folder: Path, versions: Mapping[str, int]) -> Source:
    """A snapshot's files as tables again."""
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    return source(
        pl.read_parquet(folder / INTERACTIONS_FILE),
        pl.read_parquet(folder / TITLES_FILE),
        facts["context_features"],
        versions,
    )


def keep(settings: Settings, found: Source) -> Pin:
    """Export the input and hand it to DVC; where DVC can't be had, the pin says why and the lake's versions remain."""
    pin = Pin(
        data_hash=found.dataset.data_hash,
        files={},
        versions=dict(found.versions),
        context_features=found.context_features,
    )
    store = Store.from_settings(settings)
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        sweep(store.folder, EXPORTING)
        with tempfile.TemporaryDirectory(dir=store.folder, prefix=EXPORTING) as temporary:
            folder = Path(temporary) / "snapshot"
            pin = pin.model_copy(update={"files": export(found, folder)})
            kept, note = store.add(_name(pin.files), folder)
        pin = pin.model_copy(update={"dvc": kept, "note": note})
    except (NexusError, OSError) as error:
        reason = error.message if isinstance(error, NexusError) else str(error)
        pin = pin.model_copy(update={"note": f"not kept by DVC, only as versions of the lake: {reason}"})
    log = logs.get(__name__)
    (log.warning if pin.note else log.info)(
        "snapshot_kept", data_hash=pin.data_hash, dvc=pin.dvc and pin.dvc.md5, note=pin.note or None
    )
    return pin


@contextmanager
def keeping(settings: Settings, found: Source) -> Iterator[Callable[[], Pin]]:
    """Keep the snapshot while the block trains: DVC works in a process of its own.

    Yields:
        A function that waits for the pin.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot") as pool:
        yield pool.submit(keep, settings, found).result


def pin_of(tags: Mapping[str, str]) -> Pin | None:
    """The pin among the tags of a registered version; None for a version of before there were pins."""
    return Pin.model_validate_json(tags[SNAPSHOT_TAG]) if SNAPSHOT_TAG in tags else None


def oldest_needed(settings: Settings) -> dict[str, int]:
    """The oldest version of each lake table from which a registered, not archived model must be rebuilt.

    Vacuum keeps these versions (nexus.lake.maintenance). A table that is not named is needed by no model.

    Raises:
        NexusError: category ``unavailable`` when the registry does not answer: then nothing may be deleted.
    """
    oldest: dict[str, int] = {}
    client = registry.client(settings)
    for model in registry.versions(client, settings.mlflow.model_name):
        if registry.ARCHIVED_TAG in model.tags:
            continue
        for table, version in versions_of(model.tags).items():
            oldest[table] = min(version, oldest.get(table, version))
    return oldest


def versions_of(tags: Mapping[str, str]) -> dict[str, int]:
    """Lake table to version, of a registered model; versions of before there were pins name the examples only."""
    try:
        found: Any = json.loads(tags.get(VERSIONS_TAG, "null"))
    except ValueError:
        return {}
    if isinstance(found, int):
        return {EXAMPLES: found}
    return {str(table): int(version) for table, version in found.items()} if isinstance(found, dict) else {}


def check(folder: Path, pin: Pin) -> list[str]:
    """What is wrong with a restored snapshot, file by file."""
    found = measured(folder)
    return [
        f"{name} is missing" if name not in found else f"{name} has another SHA-256 than was registered"
        for name, facts in pin.files.items()
        if found.get(name) != facts
    ]


def sweep(folder: Path, prefix: str) -> None:
    """Remove what a killed process left behind long ago."""
    for path in folder.glob(f"{prefix}*"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def replace(folder: Path, prepared: Path) -> None:
    """Put a whole snapshot where an older one may lie.

    Raises:
        NexusError: category ``conflict`` when something else lies there.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / FACTS_FILE).is_file():
        raise NexusError(
            "this folder holds something else",
            category=Category.CONFLICT,
            field="into",
            value=folder,
            remedy="name an empty folder, or one that does not exist",
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(prepared), folder)


def _name(files: Mapping[str, FileFacts]) -> str:
    digest = hashlib.sha256("".join(f"{name} {facts.sha256}\n" for name, facts in sorted(files.items())).encode())
    return digest.hexdigest()[:16]


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.rechunk().write_parquet(
        path, compression="zstd", compression_level=3, statistics=True, row_group_size=ROWS_PER_GROUP
    )
