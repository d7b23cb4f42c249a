"""What a loader is, and how a load waits for the pipeline.

A load is a folder ``<inbox>/<load_id>`` with two Parquet files of text as read and a manifest; the raw assets append
each load once. Belongs here: the protocol, the folder's format, listing loads. Does not belong here: any one format.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from nexus.errors import Category, NexusError
from nexus.lake.catalogue import TABLES

RATINGS = "raw_movielens__ratings"
TITLES = "raw_movielens__titles"
_MANIFEST = "manifest.json"
_BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Staged:
    """A load that waits in, or was taken from, the inbox.

    Attributes:
        load_id: Source and content: the same content has the same id.
        source: Name of the loader.
        data_hash: SHA-256 over the content of the files.
        origin: What the person named, without its folder.
        staged_at: When it was staged, UTC.
        ratings_rows: Lines of ratings, good and bad.
        titles_rows: Lines of titles, good and bad.
        folder: Where it lies.
        is_new: Whether this call staged it.
    """

    load_id: str
    source: str
    data_hash: str
    origin: str
    staged_at: datetime
    ratings_rows: int
    titles_rows: int
    folder: Path
    is_new: bool = False

    @property
    def ratings_path(self) -> Path:
        """Parquet with the columns of raw_movielens__ratings."""
        return self.folder / f"{RATINGS}.parquet"

    @property
    def titles_path(self) -> Path:
        """Parquet with the columns of raw_movielens__titles."""
        return self.folder / f"{TITLES}.parquet"


class Source(Protocol):
    """Anything that can be loaded: a file format, a package, later a media server."""

    @property
    def name(self) -> str:
        """Name of the loader."""
        ...

    def stage(self, inbox: Path) -> Staged:
        """Put the data into the inbox; content that is there already stays as it is.

        Raises:
            NexusError: the whole load is refused; nothing was staged.
        """
        ...


def find(inbox: Path, load_id: str) -> Staged | None:
    """A load by id; None when it is not (wholly) there."""
    try:
        facts: dict[str, Any] = json.loads((inbox / load_id / _MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    facts["staged_at"] = datetime.fromisoformat(facts["staged_at"])
    return Staged(**facts, folder=inbox / load_id)


def staged_loads(inbox: Path) -> list[Staged]:
    """Every load of the inbox, oldest first."""
    names = [path.parent.name for path in inbox.glob(f"*/{_MANIFEST}") if not path.parent.name.startswith(".")]
    loads = [load for name in names if (load := find(inbox, name)) is not None]
    return sorted(loads, key=lambda load: (load.staged_at, load.load_id))


class Staging(AbstractContextManager["Staging"]):
    """Writes one load into the inbox: all of it or nothing.

    Rows are tuples in the order of the table's columns without ``load_id``, ``source`` and ``staged_at``, which are the same
    in every row and added here.
    """

    def __init__(self, inbox: Path, *, source: str, data_hash: str, origin: str) -> None:
        self.load_id = f"{source}-{data_hash[:16]}"
        self.staged_at = datetime.now(UTC).replace(microsecond=0)
        self._inbox, self._source, self._data_hash, self._origin = inbox, source, data_hash, origin
        try:
            inbox.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=inbox))
        except OSError as error:
            raise NexusError(
                "the inbox cannot be written",
                category=Category.UNAVAILABLE,
                field="home",
                value=inbox,
                remedy="give the folder to this user, or set NEXUS_HOME",
                cause=error.strerror,
            ) from error

    def write(self, table: str, batches: Iterable[Mapping[str, list[Any]]]) -> int:
        """Write the rows of a table, batch by batch.

        Args:
            table: ``raw_movielens__ratings`` or ``raw_movielens__titles``.
            batches: Column lists without the columns that every row shares.

        Returns:
            How many rows.
        """
        schema = TABLES[table].schema
        rows = 0
        with pq.ParquetWriter(self._folder / f"{table}.parquet", schema, compression="zstd") as writer:
            for batch in batches:
                size = len(batch["line_number"])
                shared = {"load_id": self.load_id, "source": self._source, "staged_at": self.staged_at}
                columns = [
                    pa.array([shared[field.name]] * size if field.name in shared else batch[field.name], field.type)
                    for field in schema
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                rows += size
        return rows

    def finish(self, *, ratings_rows: int, titles_rows: int) -> Staged:
        """Write the manifest and put the load in its place."""
        staged = Staged(
            load_id=self.load_id,
            source=self._source,
            data_hash=self._data_hash,
            origin=self._origin,
            staged_at=self.staged_at,
            ratings_rows=ratings_rows,
            titles_rows=titles_rows,
            folder=self._inbox / self.load_id,
            is_new=True,
        )
        facts = {name: value for name, value in asdict(staged).items() if name not in ("folder", "is_new")}
        (self._folder / _MANIFEST).write_text(json.dumps(facts, default=str, indent=1))
        self._folder.chmod(0o755)
        try:
            os.rename(self._folder, staged.folder)  # noqa: PTH104 must fail when another process was first
        except OSError:
            there = find(self._inbox, self.load_id)
            if there is None:
                raise
            return there
        return staged

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self._folder, ignore_errors=True)


def batched(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> Iterator[dict[str, list[Any]]]:
    """Rows as column lists of bounded size; a column that a row lacks is null."""
    batch: dict[str, list[Any]] = {name: [] for name in columns}
    for row in rows:
        for name in columns:
            batch[name].append(row.get(name))
        if len(batch[columns[0]]) >= _BATCH_ROWS:
            yield batch
            batch = {name: [] for name in columns}
    if batch[columns[0]]:
        yield batch
