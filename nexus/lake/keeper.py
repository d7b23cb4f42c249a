"""What an engine can do to a table's files, and how delta-rs does it.

Belongs here: the protocol, the embedded keeper. Does not belong here: what may go and when (nexus.lake.maintenance).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError

from nexus.lake.stored import gave_up
from nexus.lake.table import Table

TRIES = 8


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Files written and taken out."""

    files_added: int
    files_removed: int
    bytes_removed: int


class Keeper(Protocol):
    """Cares for a table's files."""

    def rewrite(self, table: Table, uri: str, columns: Sequence[str]) -> Rewritten:
        """Pack small files; with columns, in their Z-order."""
        ...

    def removable(self, uri: str, versions: range, hours: int, orphan_hours: int) -> Mapping[str, int]:
        """Files, as the log names them, that none of the versions needs, with their sizes.

        Args:
            uri: The table.
            versions: Versions that stay readable.
            hours: How long ago a file must have been taken out.
            orphan_hours: How old a file must be that no commit names.
        """
        ...

    def remove(self, uri: str, files: Mapping[str, int]) -> None:
        """Delete files that :meth:`removable` named."""
        ...

    def checkpoint(self, uri: str) -> None:
        """Write the state as one file."""
        ...


class EmbeddedKeeper:
    """Cares through delta-rs."""

    def rewrite(self, table: Table, uri: str, columns: Sequence[str]) -> Rewritten:
        """See :class:`Keeper`."""
        properties = CommitProperties(max_commit_retries=0)
        for attempt in range(TRIES):
            try:
                optimizer = DeltaTable(uri).optimize
                done = (
                    optimizer.z_order(list(columns), commit_properties=properties)
                    if columns
                    else optimizer.compact(commit_properties=properties)
                )
            except CommitFailedError:
                time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))  # noqa: S311 spreads writers, no secret
            else:
                return Rewritten(done["numFilesAdded"], done["numFilesRemoved"], _size(done["filesRemoved"]))
        raise gave_up(table, TRIES)

    def removable(self, uri: str, versions: range, hours: int, orphan_hours: int) -> Mapping[str, int]:
        """See :class:`Keeper`."""
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        snapshot = DeltaTable(uri)
        common: dict[str, Any] = {
            "dry_run": True,
            "enforce_retention_duration": False,
            "keep_versions": list(versions),
        }
        names = {*snapshot.vacuum(hours, **common), *snapshot.vacuum(orphan_hours, full=True, **common)}
        files = fs.PyFileSystem(DeltaStorageHandler.from_table(snapshot._table))  # noqa: SLF001 its own way to its files
        found = files.get_file_info(sorted(names)) if names else []
        return {info.path: info.size or 0 for info in found if info.type == fs.FileType.File}

    def remove(self, uri: str, files: Mapping[str, int]) -> None:
        """See :class:`Keeper`."""
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        store = fs.PyFileSystem(DeltaStorageHandler.from_table(DeltaTable(uri)._table))  # noqa: SLF001
        for name in files:
            store.delete_file(name)

    def checkpoint(self, uri: str) -> None:
        """See :class:`Keeper`."""
        DeltaTable(uri).create_checkpoint()


def _size(metrics: str | Mapping[str, Any]) -> int:
    """The total of a metric, which delta-rs gives as JSON text."""
    parsed: Mapping[str, Any] = json.loads(metrics) if isinstance(metrics, str) else metrics
    return int(parsed.get("totalSize") or 0)
