"""Writing one load into the inbox: all of it or nothing, in bounded memory, going on where a killed load stopped.

A load grows in ``<inbox>/.partial-<load_id>``, whose name starts with a dot, so that nothing takes it; its last step is
to rename the folder. Every finished part is a million rows; a load that was killed goes on after its last whole part.
Belongs here: parts, the lock, the manifest. Does not belong here: any one format, reading loads (media.sources.base).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from media.sources.base import MANIFEST, RATINGS, TITLES, Staged, find
from nexus.errors import Category, NexusError
from nexus.lake.catalogue import TABLES

GROUP_ROWS = 50_000
PART_ROWS = 20 * GROUP_ROWS
"""Rows of a part. Never change it: a part is one commit, and its number is the commit's idempotency key."""

_STALE_S = 7 * 24 * 3600
_LAST_LINE = "nexus.last_line"
Batch: TypeAlias = Mapping[str, list[Any]] | pa.Table


class Staging(AbstractContextManager["Staging"]):
    """One load on its way into the inbox.

    Batches hold the columns of the table without ``load_id``, ``source`` and ``staged_at``, which are the same in every
    row and added here; a column that a batch lacks is null.
    """

    def __init__(
        self,
        inbox: Path,
        *,
        source: str,
        data_hash: str,
        origin: str,
        ratings_table: str = RATINGS,
        titles_table: str = TITLES,
    ) -> None:
        self.load_id = f"{source}-{data_hash[:16]}"
        self._inbox, self._source, self._data_hash, self._origin = inbox, source, data_hash, origin
        self._tables = {"ratings_table": ratings_table, "titles_table": titles_table}
        self._folder = inbox / f".partial-{self.load_id}"
        self._lock: IO[str] | None = None
        try:
            inbox.mkdir(parents=True, exist_ok=True)
            _remove_stale(inbox, self._folder)
            self._folder.mkdir(exist_ok=True)
            self._lock = _locked(self._folder / "lock")
            self.staged_at = _began(self._folder / "began")
        except OSError as error:
            raise NexusError(
                "the inbox cannot be written",
                category=Category.UNAVAILABLE,
                field="home",
                value=inbox,
                remedy="give the folder to this user, or set NEXUS_HOME",
                cause=error.strerror,
            ) from error

    def last_line(self, table: str) -> int:
        """The line of the last row in the whole parts of a load that was killed; 0 when there is none."""
        parts = self._parts(table)
        if not parts:
            return 0
        with pq.ParquetFile(parts[-1]) as file:
            return int((file.metadata.metadata or {})[_LAST_LINE.encode()])

    def write(self, table: str, batches: Iterable[Batch], *, is_resumed: bool = False) -> int:
        """Write the rows of a table in parts.

        Args:
            table: One of the load's two tables.
            batches: Its rows, in the order of ``line_number``.
            is_resumed: The batches begin after :meth:`last_line`; otherwise the table is written anew.

        Returns:
            How many rows the table has in all.

        Raises:
            NexusError: category ``unavailable`` when the disk is full or the folder cannot be written.
        """
        folder = self._folder / table
        try:
            if not is_resumed:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            rows = sum(pq.read_metadata(part).num_rows for part in self._parts(table))
            number = len(self._parts(table))
            for part in _parts_of(self._groups(table, batches)):
                number += 1
                rows += _write_part(folder / f"part-{number:05}.parquet", part, TABLES[table].schema)
            if not number:
                _write_part(folder / "part-00001.parquet", iter([]), TABLES[table].schema)
        except OSError as error:
            if error.filename is not None and not str(error.filename).startswith(str(self._inbox)):
                raise
            raise NexusError(
                f"the load cannot be written ({error.strerror or error})",
                category=Category.UNAVAILABLE,
                field="home",
                value=self._inbox,
                remedy="make room there, then run the same command again: it goes on where it stopped",
            ) from error
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
            **self._tables,
        )
        facts = {name: value for name, value in asdict(staged).items() if name not in ("folder", "is_new")}
        for name in ("began", "lock"):
            (self._folder / name).unlink(missing_ok=True)
        _write_durably(self._folder / MANIFEST, json.dumps(facts, default=str, indent=1))
        try:
            os.rename(self._folder, staged.folder)  # noqa: PTH104 must fail when another process was first
        except OSError:
            there = find(self._inbox, self.load_id)
            if there is None:
                raise
            shutil.rmtree(self._folder, ignore_errors=True)
            return there
        return staged

    def __enter__(self) -> Self:
        """The load, locked."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Remove what was refused; leave what was interrupted, so that the next try goes on from there."""
        if self._lock is not None:
            self._lock.close()
        if isinstance(error, NexusError) and not error.retryable:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _parts(self, table: str) -> list[Path]:
        return sorted((self._folder / table).glob("part-*.parquet"))

    def _groups(self, table: str, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """The batches in the table's shape, cut into groups of one size."""
        waiting: list[pa.Table] = []
        count = 0
        for batch in batches:
            waiting.append(self._shaped(table, batch))
            count += waiting[-1].num_rows
            if count >= GROUP_ROWS:
                whole = pa.concat_tables(waiting)
                full = count - count % GROUP_ROWS
                yield from (whole.slice(start, GROUP_ROWS) for start in range(0, full, GROUP_ROWS))
                waiting, count = [whole.slice(full)], count - full
        if count:
            yield pa.concat_tables(waiting)

    def _shaped(self, table: str, batch: Batch) -> pa.Table:
        schema = TABLES[table].schema
        shared = {"load_id": self.load_id, "source": self._source, "staged_at": self.staged_at}
        given = set(batch.column_names) if isinstance(batch, pa.Table) else set(batch)
        size = batch.num_rows if isinstance(batch, pa.Table) else len(batch["line_number"])
        columns: list[Any] = []
        for field in schema:
            if field.name in shared:
                columns.append(pa.repeat(pa.scalar(shared[field.name], field.type), size))
            elif field.name not in given:
                columns.append(pa.nulls(size, field.type))
            elif isinstance(batch, pa.Table):
                columns.append(batch.column(field.name).cast(field.type))
            else:
                columns.append(pa.array(batch[field.name], field.type))
        return pa.Table.from_arrays(columns, schema=schema)


def batched(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> Iterator[dict[str, list[Any]]]:
    """Rows as column lists of bounded size; a column that a row lacks is null."""
    batch: dict[str, list[Any]] = {name: [] for name in columns}
    for row in rows:
        for name in columns:
            batch[name].append(row.get(name))
        if len(batch[columns[0]]) >= GROUP_ROWS:
            yield batch
            batch = {name: [] for name in columns}
    if batch[columns[0]]:
        yield batch


def _parts_of(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The groups of one part after another; each part has to be used up before the next."""
    size = PART_ROWS // GROUP_ROWS
    for first in groups:
        yield _with(first, groups, size - 1)


def _with(first: pa.Table, groups: Iterator[pa.Table], more: int) -> Iterator[pa.Table]:
    yield first
    for _ in range(more):
        group = next(groups, None)
        if group is None:
            return
        yield group


def _write_part(path: Path, groups: Iterator[pa.Table], schema: pa.Schema) -> int:
    """Write under another name and rename, so that a part that is there is whole."""
    unfinished = path.with_suffix(".unfinished")
    rows = last = 0
    same = ["load_id", "source", "file_name", "problem_field", "problem", "issuer", "title_issuer", "interaction_type"]
    with pq.ParquetWriter(unfinished, schema, compression="zstd", compression_level=1, use_dictionary=same) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
            last = group.column("line_number")[-1].as_py()
        writer.add_key_value_metadata({_LAST_LINE: str(last)})
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
    return rows


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _locked(path: Path) -> IO[str]:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise NexusError(
            "the same data is being loaded by another process",
            category=Category.CONFLICT,
            field="path",
            value=path.parent.name.removeprefix(".partial-"),
            remedy="wait until it is done",
        ) from None
    return file


def _began(path: Path) -> datetime:
    """When this load was begun first: every part carries the same time."""
    try:
        return datetime.fromisoformat(path.read_text())
    except (FileNotFoundError, ValueError):
        now = datetime.now(UTC).replace(microsecond=0)
        _write_durably(path, now.isoformat())
        return now


def _remove_stale(inbox: Path, mine: Path) -> None:
    """Remove what killed loads left that nobody went on with for a week."""
    for path in inbox.glob(".partial-*"):
        if path != mine and time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)
