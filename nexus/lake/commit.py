"""Commits to one Delta table: create, append, overwrite, replace a partition, merge; each at most once per key.

Belongs here: delta-rs, the ledger of idempotency keys inside the table, retries from a fresh snapshot.
Does not belong here: what a valid frame is (nexus.lake.guard), names and places of tables (nexus.lake.lake).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake  # noqa: TID251 the one place
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from nexus import logs
from nexus.errors import Category, NexusError
from nexus.lake.guard import plain
from nexus.lake.table import Table

Mode = Literal["append", "overwrite", "replace_partition", "merge"]
Key = tuple[str, int]
_TRIES = 20


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did.

    Attributes:
        table: Name of the table.
        version: Version of the table after the write; when skipped, the version found.
        rows: Rows written; 0 when skipped.
        is_skipped: The key was there already, so nothing was written.
    """

    table: str
    version: int
    rows: int
    is_skipped: bool = False


def commit(
    table: Table,
    uri: str,
    frame: pa.Table,
    mode: Mode,
    partition: Mapping[str, str] | None = None,
    key: Key | None = None,
    follows: int | None = None,
    facts: Mapping[str, str] | None = None,
) -> WriteResult:
    """Write a frame that passed the guards, exactly once per key, however many writers try at once.

    Args:
        table: The declaration.
        uri: Where it lies.
        frame: Rows in the declared shape.
        mode: How to write.
        partition: For ``replace_partition``.
        key: Recorded in the table's ledger; skipped when it is there, or a newer one of the same app.
        follows: The version that the ledger must show for the key's app before this write (0: none yet).
        facts: Text recorded with the commit, found again in the history.

    Raises:
        NexusError: ``invalid`` for a broken constraint, ``conflict`` when the stored table has another shape,
            ``unavailable`` when other writers win every try.
    """
    for attempt in range(_TRIES):
        try:
            snapshot = open_or_create(table, uri)
            if key is not None and _is_applied(snapshot, key):
                return WriteResult(table.name, snapshot.version(), 0, is_skipped=True)
            if key is not None and follows is not None:
                _check_position(table, snapshot, key, follows)
            _check_stored(table, snapshot, mode)
            _WRITERS[mode](table, snapshot, frame, partition, _properties(key, facts))
            return WriteResult(table.name, snapshot.version(), frame.num_rows)
        except CommitFailedError as error:
            logs.get(__name__).debug("commit_conflict", table=table.name, attempt=attempt, cause=str(error)[:200])
            time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))  # noqa: S311 spreads writers, no secret
        except (DeltaError, SchemaMismatchError) as error:
            raise _refused(table, error) from error
    raise NexusError(
        f"{table.name}: other writers won {_TRIES} times in a row",
        category=Category.UNAVAILABLE,
        field="table",
        value=table.name,
        remedy="try again; if it stays, look for a writer in a loop",
    )


def open_or_create(table: Table, uri: str) -> DeltaTable:
    """A fresh snapshot; the table exists and carries its constraints afterwards."""
    try:
        snapshot = DeltaTable(uri)
    except TableNotFoundError:
        snapshot = DeltaTable.create(
            uri,
            schema=table.schema,
            mode="ignore",
            commit_properties=CommitProperties(max_commit_retries=0),
            partition_by=list(table.partition_by),
            name=table.name,
            description=table.description,
        )
    present = snapshot.metadata().configuration
    missing = {name: sql for name, sql in table.constraints.items() if f"delta.constraints.{name}" not in present}
    if missing:
        # Two writers may create at once; whoever comes second finds the constraint or adds it.
        snapshot.alter.add_constraint(missing)
        snapshot = DeltaTable(uri)
    return snapshot


def _is_applied(snapshot: DeltaTable, key: Key) -> bool:
    app, version = key
    last = snapshot.transaction_version(app)
    return last is not None and last >= version


def _check_position(table: Table, snapshot: DeltaTable, key: Key, follows: int) -> None:
    found = snapshot.transaction_version(key[0]) or 0
    if found != follows:
        raise NexusError(
            f"{table.name}: another writer of {key[0]} was faster",
            category=Category.CONFLICT,
            field="follows",
            value=follows,
            remedy="read the ledger again and go on from there",
            found=found,
        )


def _properties(key: Key | None, facts: Mapping[str, str] | None) -> CommitProperties:
    return CommitProperties(
        app_transactions=[Transaction(*key)] if key else None,
        custom_metadata=dict(facts) if facts else None,
        max_commit_retries=0 if key else 15,
    )


def _check_stored(table: Table, snapshot: DeltaTable, mode: Mode) -> None:
    """The stored table must have the declared columns; a whole overwrite may change them."""
    stored = pa.schema(snapshot.schema().to_arrow())
    have = {field.name: plain(field.type) for field in stored}
    want = {field.name: plain(field.type) for field in table.schema}
    if have == want or mode == "overwrite":
        return
    different = sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name))
    raise NexusError(
        f"{table.name} is stored with other columns than it is declared with",
        category=Category.CONFLICT,
        field=f"{table.name}.{different[0]}",
        value=str(have.get(different[0])),
        remedy="overwrite the whole table (run the asset that rebuilds it), or bin/nexus reset",
        expected=str(want.get(different[0])),
        got=str(have.get(different[0])),
    )


def _append(_: Table, snapshot: DeltaTable, frame: pa.Table, __: object, properties: CommitProperties) -> None:
    write_deltalake(snapshot, frame, mode="append", commit_properties=properties)


def _overwrite(table: Table, snapshot: DeltaTable, frame: pa.Table, _: object, properties: CommitProperties) -> None:
    same = [field.name for field in pa.schema(snapshot.schema().to_arrow())] == table.schema.names
    write_deltalake(
        snapshot, frame, mode="overwrite", commit_properties=properties, schema_mode=None if same else "overwrite"
    )


def _replace(
    _: Table,
    snapshot: DeltaTable,
    frame: pa.Table,
    partition: Mapping[str, str] | None,
    properties: CommitProperties,
) -> None:
    predicate = " AND ".join(f"{name} = '{value}'" for name, value in _quoted(partition or {}).items())
    write_deltalake(snapshot, frame, mode="overwrite", predicate=predicate, commit_properties=properties)


def _merge(table: Table, snapshot: DeltaTable, frame: pa.Table, _: object, properties: CommitProperties) -> None:
    on = " AND ".join(f"target.{name} = source.{name}" for name in table.primary_key)
    merger = snapshot.merge(frame, on, source_alias="source", target_alias="target", commit_properties=properties)
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


_Writer = Callable[[Table, DeltaTable, pa.Table, Mapping[str, str] | None, CommitProperties], None]
_WRITERS: dict[Mode, _Writer] = {
    "append": _append,
    "overwrite": _overwrite,
    "replace_partition": _replace,
    "merge": _merge,
}


def _quoted(partition: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace("'", "''") for name, value in partition.items()}


def _refused(table: Table, error: Exception) -> NexusError:
    lines = str(error).splitlines()
    return NexusError(
        f"{table.name} refuses the rows: {lines[0]}",
        field=table.name,
        value=" ".join(line for line in lines[2:8] if line.startswith("|"))[:200] or None,
        remedy="keep to the table's constraints: " + "; ".join(f"{n}: {sql}" for n, sql in table.constraints.items()),
    )
