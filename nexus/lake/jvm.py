"""The writer of the JVM engine: guards and commits are jobs of a Spark Connect server; its executors write.

Belongs here: which checks come before a commit, and what still commits from here. Does not belong here: the statements
(nexus.lake.jvm_commit), sessions (nexus.lake.spark).

Two kinds of write hold no rows worth an engine, or a promise that its writer cannot give, and are committed by delta-rs:
those without rows (Spark makes no commit then, so key and facts would be lost), and those with ``follows`` (Spark
compares a key with the ledger, but cannot demand what stands there). Both engines keep one ledger, so that is safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from nexus.lake import guard, spark_guard
from nexus.lake.embedded import EmbeddedWriter
from nexus.lake.table import Table
from nexus.lake.writer import Frame, Write, WriteResult, as_arrow, is_spark

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


class JvmWriter:
    """Writes through Spark Connect.

    Args:
        session: Gives the calling thread's session.
    """

    def __init__(self, session: Callable[[], SparkSession]) -> None:
        self._session = session
        self._here = EmbeddedWriter()
        self._locks: dict[str, threading.Lock] = {}

    def write(self, table: Table, uri: str, frame: Frame, how: Write) -> WriteResult:
        """See :class:`nexus.lake.writer.Writer`."""
        if how.mode == "replace_partition":
            guard.partition_of(table, how.partition)
        if how.follows is not None:
            return self._here.write(table, uri, frame, how)
        if is_spark(frame):
            return self._write_computed(table, uri, frame, how)
        return self._write_held(table, uri, as_arrow(frame), how)

    def _write_held(self, table: Table, uri: str, given: pa.Table, how: Write) -> WriteResult:
        rows = guard.conform(table, given)
        if how.mode == "replace_partition":
            guard.check_partition(table, rows, how.partition)
        guard.check_unique(table, rows)
        if not rows.num_rows:
            return self._here.write(table, uri, rows, how)
        return self._commit(table, uri, self._session().createDataFrame(rows), rows.num_rows, how)

    def _write_computed(self, table: Table, uri: str, frame: DataFrame, how: Write) -> WriteResult:
        guard.refuse(table, guard.schema_faults(table, spark_guard.arrow_schema(frame)))
        # Kept while it is judged and written, so that it is computed once, and what was judged is what is written.
        with _kept(frame.select(*table.schema.names)) as rows:
            count = spark_guard.check_rows(table, rows, how.partition)
            spark_guard.check_unique(table, rows)
            if not count:
                return self._here.write(table, uri, table.schema.empty_table(), how)
            return self._commit(table, uri, rows, count, how)

    def _commit(self, table: Table, uri: str, rows: DataFrame, count: int, how: Write) -> WriteResult:
        from nexus.lake.jvm_commit import commit

        session = rows.sparkSession
        # A merge takes its key from the session, so a session does one thing at a time.
        name = str(cast("Any", session).session_id)
        with self._locks.setdefault(name, threading.Lock()):
            return commit(table, uri, rows, count, how)


@contextmanager
def _kept(frame: DataFrame) -> Iterator[DataFrame]:
    kept = frame.persist()
    try:
        yield kept
    finally:
        kept.unpersist()
