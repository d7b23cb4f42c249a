"""Commits to one Delta table by delta-rs: create, append, overwrite, replace a partition, merge; at most once per key.

Belongs here: delta-rs, retries from a fresh snapshot. Does not belong here: what valid rows are (nexus.lake.guard),
what a stored table says (nexus.lake.stored), names and places of tables (nexus.lake.lake).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake  # noqa: TID251 the one place
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError

from nexus import logs
from nexus.lake.stored import (
    CONSTRAINT,
    check_position,
    check_stored,
    differing,
    gave_up,
    is_applied,
    missing,
    refused,
    snapshot_of,
)
from nexus.lake.table import PROPERTIES, Table
from nexus.lake.writer import Mode, Write, WriteResult

_TRIES = 20
Data: TypeAlias = pa.Table | pa.RecordBatchReader


class Rows(Protocol):
    """Rows in the declared shape, as often as a commit has to be tried."""

    def data(self) -> Data:
        """The rows from the first on."""
        ...

    @property
    def count(self) -> int:
        """How many there were; asked after they were written."""
        ...

    @property
    def error(self) -> Exception | None:
        """Why the rows ended early; delta-rs would tell it in words only."""
        ...


def commit(table: Table, uri: str, rows: Rows, how: Write) -> WriteResult:
    """Write rows that pass the guards, exactly once per key, however many writers try at once.

    Raises:
        NexusError: ``invalid`` for a broken constraint, ``conflict`` when the stored table has another shape or
            another writer was faster, ``unavailable`` when other writers win every try.
    """
    for attempt in range(_TRIES):
        try:
            snapshot = open_or_create(table, uri, how)
            if is_applied(snapshot, how):
                return WriteResult(table.name, snapshot.version(), 0, is_skipped=True)
            if how.key is not None and how.follows is not None:
                check_position(table, snapshot, how.key, how.follows)
            _WRITERS[how.mode](table, snapshot, rows.data(), how)
            return WriteResult(table.name, snapshot.version(), rows.count)
        except CommitFailedError as error:
            logs.get(__name__).debug("commit_conflict", table=table.name, attempt=attempt, cause=str(error)[:200])
            time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))  # noqa: S311 spreads writers, no secret
        except (DeltaError, SchemaMismatchError, pa.ArrowException, OSError) as error:
            if rows.error is not None:
                raise rows.error from None
            if not isinstance(error, DeltaError | SchemaMismatchError):
                raise
            lines = str(error).splitlines()
            shown = " ".join(line for line in lines[2:8] if line.startswith("|"))[:200]
            raise refused(table, lines[0], shown or None) from error
    raise gave_up(table, _TRIES)


def open_or_create(table: Table, uri: str, how: Write) -> DeltaTable:
    """A fresh snapshot; the table exists, has the declared columns, and carries its constraints afterwards.

    Raises:
        NexusError: category ``conflict`` when it has other columns and is not overwritten as a whole.
    """
    snapshot = snapshot_of(uri) or DeltaTable.create(
        uri,
        schema=table.schema,
        mode="ignore",
        commit_properties=CommitProperties(max_commit_retries=0),
        partition_by=list(table.partition_by),
        name=table.name,
        configuration=dict(PROPERTIES),
        description=table.description,
    )
    check_stored(table, snapshot, how.mode)
    if differing(table, snapshot) and not is_applied(snapshot, how):
        _reshape(table, snapshot)
    # Two writers may create at once; whoever comes second finds constraints and properties, or adds them.
    constraints, properties = missing(table, snapshot)
    if constraints:
        snapshot.alter.add_constraint(constraints)
    if properties:
        snapshot.alter.set_table_properties(properties)
    return DeltaTable(uri) if constraints or properties else snapshot


def _reshape(table: Table, snapshot: DeltaTable) -> None:
    """The declared columns instead of the stored ones, before the whole table is overwritten.

    A commit of its own: constraints can only be added to columns that are there. Older versions stay readable.
    """
    for name in snapshot.metadata().configuration:
        if name.startswith(CONSTRAINT):
            snapshot.alter.drop_constraint(name.removeprefix(CONSTRAINT))
    empty, once = table.schema.empty_table(), CommitProperties(max_commit_retries=0)
    write_deltalake(snapshot, empty, mode="overwrite", schema_mode="overwrite", commit_properties=once)


def _properties(how: Write) -> CommitProperties:
    return CommitProperties(
        app_transactions=[Transaction(*how.key)] if how.key else None,
        custom_metadata=dict(how.facts) if how.facts else None,
        max_commit_retries=0 if how.key else 15,
    )


def _append(_: Table, snapshot: DeltaTable, data: Data, how: Write) -> None:
    write_deltalake(snapshot, data, mode="append", commit_properties=_properties(how))


def _overwrite(_: Table, snapshot: DeltaTable, data: Data, how: Write) -> None:
    write_deltalake(snapshot, data, mode="overwrite", commit_properties=_properties(how))


def _replace(_: Table, snapshot: DeltaTable, data: Data, how: Write) -> None:
    predicate = " AND ".join(f"{name} = '{value}'" for name, value in _quoted(how.partition or {}).items())
    write_deltalake(snapshot, data, mode="overwrite", predicate=predicate, commit_properties=_properties(how))


def _merge(table: Table, snapshot: DeltaTable, data: Data, how: Write) -> None:
    on = " AND ".join(f"target.{name} = source.{name}" for name in table.primary_key)
    merger = snapshot.merge(data, on, source_alias="source", target_alias="target", commit_properties=_properties(how))
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


_Writer = Callable[[Table, DeltaTable, Data, Write], None]
_WRITERS: dict[Mode, _Writer] = {
    "append": _append,
    "overwrite": _overwrite,
    "replace_partition": _replace,
    "merge": _merge,
}


def _quoted(partition: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace("'", "''") for name, value in partition.items()}
