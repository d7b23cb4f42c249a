"""Care of a table's files: fewer, better ordered, and none that nobody needs. No row changes.

Belongs here: what each operation means, which files may go. Does not belong here: how an engine does it
(nexus.lake.keeper, nexus.lake.jvm_keeper), when (assets), which versions models need (training.snapshot).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from nexus.errors import invalid
from nexus.lake.catalogue import declared
from nexus.lake.keeper import Rewritten
from nexus.lake.lake import Lake

_IN_FLIGHT = timedelta(days=1)
"""Files that no commit names may belong to a commit that is being made; older than this they belong to none."""


@dataclass(frozen=True, slots=True)
class MaintenanceResult:
    """What an operation did.

    Attributes:
        table: Name of the table.
        operation: ``optimize``, ``z_order``, ``vacuum`` or ``checkpoint``.
        version: Version of the table afterwards.
        files_added: Files written.
        files_removed: Files that the newest version no longer names; for ``vacuum`` files that were deleted (or would be).
        bytes_removed: Their size.
    """

    table: str
    operation: str
    version: int
    files_added: int = 0
    files_removed: int = 0
    bytes_removed: int = 0


def optimize(lake: Lake, table: str) -> MaintenanceResult:
    """Pack small files into large ones.

    Raises:
        NexusError: ``not_found`` when the table is not there, ``unavailable`` when other writers win every try.
    """
    return _result(lake, table, "optimize", lake.keeper.rewrite(declared(table), lake.uri_of(table), ()))


def z_order(lake: Lake, table: str, columns: Sequence[str]) -> MaintenanceResult:
    """Pack, and lay rows with near values of these columns beside each other, so that filters skip whole files.

    Raises:
        NexusError: ``invalid`` for a column that the table does not have or is partitioned by, and as :func:`optimize`.
    """
    declaration = declared(table)
    possible = [name for name in declaration.schema.names if name not in declaration.partition_by]
    for name in columns or ("",):
        if name not in possible:
            raise invalid(
                f"{table} cannot be ordered by this column",
                field="columns",
                value=name,
                remedy=f"name at least one of: {', '.join(possible)}",
            )
    return _result(lake, table, "z_order", lake.keeper.rewrite(declaration, lake.uri_of(table), tuple(columns)))


def vacuum(
    lake: Lake, table: str, *, keep_from: int | None, retain: timedelta, dry_run: bool = False
) -> MaintenanceResult:
    """Delete files that no version still to be read needs.

    A file goes when no version from ``keep_from`` on names it and it was taken out of the table longer than ``retain``
    ago (in whole hours, rounded up); and when no version at all names it and it is older than that and than a day:
    the rest of a write that was cut off.

    Args:
        lake: The lake.
        table: The table.
        keep_from: The oldest version that must stay readable; None: the newest.
        retain: How long every version stays readable.
        dry_run: Only say what would go.

    Raises:
        NexusError: ``not_found`` when the table or the version is not there, ``invalid`` for a negative time.
    """
    if retain < timedelta(0):
        raise invalid("a time cannot be kept backwards", field="retain", value=retain, remedy="give 0 or more")
    uri = lake.uri_of(table)
    newest = lake.version(table) or 0
    oldest = newest if keep_from is None else keep_from
    files = lake.keeper.removable(uri, range(oldest, newest + 1), _hours(retain), _hours(max(retain, _IN_FLIGHT)))
    removed = Rewritten(0, len(files), sum(files.values()))
    if files and not dry_run:
        lake.keeper.remove(uri, files)
    return _result(lake, table, "vacuum", removed)


def checkpoint(lake: Lake, table: str) -> MaintenanceResult:
    """Write the table's state as one file, so that opening it reads no long log.

    Raises:
        NexusError: ``not_found`` when the table is not there.
    """
    lake.keeper.checkpoint(lake.uri_of(table))
    return _result(lake, table, "checkpoint", Rewritten(0, 0, 0))


def _hours(time: timedelta) -> int:
    return math.ceil(time / timedelta(hours=1))


def _result(lake: Lake, table: str, operation: str, done: Rewritten) -> MaintenanceResult:
    version = lake.version(table) or 0
    return MaintenanceResult(table, operation, version, done.files_added, done.files_removed, done.bytes_removed)
