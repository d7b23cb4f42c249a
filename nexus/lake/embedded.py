"""The writer of the embedded engine: guards over Arrow data, commits by delta-rs.

Belongs here: choosing between rows that are here and rows that an engine sends batch by batch.
Does not belong here: the guards (nexus.lake.guard, nexus.lake.stream), the commit (nexus.lake.commit).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from nexus.lake import guard
from nexus.lake.commit import commit
from nexus.lake.stream import Stream
from nexus.lake.table import Table
from nexus.lake.writer import Frame, Write, WriteResult, as_arrow, is_spark


@dataclass(frozen=True, slots=True)
class _Held:
    """Rows that are here."""

    table: pa.Table
    error: None = None

    @property
    def count(self) -> int:
        return self.table.num_rows

    def data(self) -> pa.Table:
        return self.table


class EmbeddedWriter:
    """Writes through delta-rs; frames of an engine pass in batches, so that memory does not grow with rows."""

    def write(self, table: Table, uri: str, frame: Frame, how: Write) -> WriteResult:
        """See :class:`nexus.lake.writer.Writer`."""
        if how.mode == "replace_partition":
            guard.partition_of(table, how.partition)
        if is_spark(frame):
            return commit(table, uri, Stream(table, frame, how.partition), how)
        rows = guard.conform(table, as_arrow(frame))
        if how.mode == "replace_partition":
            guard.check_partition(table, rows, how.partition)
        guard.check_unique(table, rows)
        return commit(table, uri, _Held(rows), how)
