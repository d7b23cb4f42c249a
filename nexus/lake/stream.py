"""Rows of an engine, batch by batch through the guards: memory does not grow with the rows (but for 8 bytes a key).

Belongs here: a Spark frame as Arrow batches, each checked as it passes. Does not belong here: commits (nexus.lake.commit).

A fault found in the last batch is still in time: nothing is committed before the rows have ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from nexus.errors import Category, NexusError
from nexus.lake import guard, spark_guard
from nexus.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Stream:
    """The rows of a Spark frame, computed anew each time they are asked for."""

    def __init__(self, table: Table, frame: DataFrame, partition: Mapping[str, str] | None) -> None:
        """Checks the columns; no row is computed yet.

        Raises:
            NexusError: category ``invalid``.
        """
        guard.refuse(table, guard.schema_faults(table, spark_guard.arrow_schema(frame)))
        self._table = table
        self._frame = frame
        self._partition = partition
        self.count = 0
        self.error: Exception | None = None

    def data(self) -> pa.RecordBatchReader:
        """The rows from the first on."""
        return pa.RecordBatchReader.from_batches(self._table.schema, self._kept())

    def _kept(self) -> Iterator[pa.RecordBatch]:
        """The batches; what goes wrong is kept, because delta-rs passes it on as words."""
        from pyspark.errors import PySparkException

        self.count, self.error = 0, None
        try:
            yield from self._checked()
        except PySparkException as error:
            self.error = _not_computed(self._table, error)
            raise
        except Exception as error:
            self.error = error
            raise

    def _checked(self) -> Iterator[pa.RecordBatch]:
        keys = list(self._table.primary_key)
        seen: list[np.ndarray[Any, np.dtype[np.uint64]]] = []
        for chunk in arrow_chunks(self._frame):
            rows = guard.conform(self._table, chunk)
            if self._partition is not None:
                guard.check_partition(self._table, rows, self._partition)
            if keys:
                seen.append(cast("pl.DataFrame", pl.from_arrow(rows.select(keys))).hash_rows(seed=0).to_numpy())
            self.count += rows.num_rows
            yield from rows.to_batches()
        if _has_twins(seen):
            spark_guard.check_unique(self._table, self._frame)


def arrow_chunks(frame: DataFrame) -> Iterator[pa.Table]:
    """The rows as they come from the engine: what pyspark's ``toLocalIterator`` does before it makes Python rows."""
    plan = cast("Any", frame)._plan  # noqa: SLF001 there is no public way to Arrow in parts
    client = cast("Any", frame.sparkSession).client
    for part in client.to_table_as_iterator(plan.to_proto(client), plan.observations):
        if isinstance(part, pa.Table):
            yield part


def _not_computed(table: Table, error: Exception) -> NexusError:
    return NexusError(
        f"{table.name}: the engine could not compute the rows: {str(error).splitlines()[0][:200]}",
        category=Category.INTERNAL,
        field=table.name,
        remedy="if it is about memory, give lake.sail_memory_mb more (0: no limit), or use lake.engine=jvm",
        cause=str(error)[:1000],
    )


def _has_twins(hashes: list[np.ndarray[Any, np.dtype[np.uint64]]]) -> bool:
    """Whether two rows may share a key: an equal hash, which chance brings once in 2**64 pairs."""
    if not hashes:
        return False
    together = np.concatenate(hashes)
    hashes.clear()
    together.sort()
    return bool((together[1:] == together[:-1]).any())
