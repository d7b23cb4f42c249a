"""What a table that lies in the lake says of itself, whichever engine wrote it: its ledger, its columns, its refusals.

Belongs here: checks that both writers make before a commit, and the error for a broken constraint.
Does not belong here: commits (nexus.lake.commit, nexus.lake.jvm).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from nexus.errors import Category, NexusError
from nexus.lake.guard import plain
from nexus.lake.table import PROPERTIES, Table
from nexus.lake.writer import Key, Mode, Write

CONSTRAINT = "delta.constraints."
Entry = dict[str, Any]


def snapshot_of(uri: str) -> DeltaTable | None:
    """The newest snapshot; None before the first write."""
    try:
        return DeltaTable(uri)
    except TableNotFoundError:
        return None


def history(open_table: Callable[[], DeltaTable], *, limit: int | None = None, since: int | None = None) -> list[Entry]:
    """What was committed, newest first.

    delta-rs lists the log anew and counts back from the snapshot's version, so that a commit in between shifts every
    number: what it says is right only when the table has not moved.

    Args:
        open_table: Gives a fresh snapshot.
        limit: At most so many entries.
        since: Only what came after this version.
    """
    snapshot = open_table()
    while True:
        behind = snapshot.version() - since if since is not None else limit
        entries = snapshot.history(limit if behind is None else max(behind, 1))
        again = open_table()
        if again.version() == snapshot.version():
            return entries
        snapshot = again


def is_applied(snapshot: DeltaTable, how: Write) -> bool:
    """Whether the ledger has the key already, or a newer one of its app."""
    if how.key is None:
        return False
    app, version = how.key
    last = snapshot.transaction_version(app)
    return last is not None and last >= version


def check_position(table: Table, snapshot: DeltaTable, key: Key, follows: int) -> None:
    """Refuse a commit that is not the next one of its app.

    Raises:
        NexusError: category ``conflict``.
    """
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


def differing(table: Table, snapshot: DeltaTable) -> dict[str, tuple[pa.DataType | None, pa.DataType | None]]:
    """Columns that are stored otherwise than declared: name -> stored type, declared type."""
    have = {field.name: plain(field.type) for field in pa.schema(snapshot.schema().to_arrow())}
    want = {field.name: plain(field.type) for field in table.schema}
    names = sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name))
    return {name: (have.get(name), want.get(name)) for name in names}


def check_stored(table: Table, snapshot: DeltaTable, mode: Mode) -> None:
    """The stored table must have the declared columns; a whole overwrite may change them.

    Raises:
        NexusError: category ``conflict``.
    """
    different = {} if mode == "overwrite" else differing(table, snapshot)
    for name, (have, want) in different.items():
        raise NexusError(
            f"{table.name} is stored with other columns than it is declared with",
            category=Category.CONFLICT,
            field=f"{table.name}.{name}",
            value=str(have),
            remedy="overwrite the whole table (run the asset that rebuilds it), or bin/nexus reset",
            expected=str(want),
            got=str(have),
        )


def missing(table: Table, snapshot: DeltaTable) -> tuple[dict[str, str], dict[str, str]]:
    """Constraints and properties that the stored table lacks, as it was made by another hand or an older release."""
    present = snapshot.metadata().configuration
    constraints = {n: sql for n, sql in table.constraints.items() if f"{CONSTRAINT}{n}" not in present}
    return constraints, {name: text for name, text in PROPERTIES.items() if present.get(name) != text}


def refused(table: Table, cause: str, rows: str | None) -> NexusError:
    """The error for rows that break a constraint."""
    return NexusError(
        f"{table.name} refuses the rows: {cause}",
        field=table.name,
        value=rows,
        remedy="keep to the table's constraints: " + "; ".join(f"{n}: {sql}" for n, sql in table.constraints.items()),
    )


def gave_up(table: Table, tries: int) -> NexusError:
    """The error when other writers win every time."""
    return NexusError(
        f"{table.name}: other writers won {tries} times in a row",
        category=Category.UNAVAILABLE,
        field="table",
        value=table.name,
        remedy="try again; if it stays, look for a writer in a loop",
    )
