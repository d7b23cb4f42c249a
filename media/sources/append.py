"""Staged loads into the raw tables, each once.

Belongs here: moving a load's rows in bounded pieces. Does not belong here: staging (the loaders), judging (layer core).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from media.sources.base import Staged
from media.sources.staging import GROUP_ROWS, PART_ROWS
from nexus.lake.lake import Lake

_CHUNK_GROUPS = PART_ROWS // GROUP_ROWS
"""Row groups per commit: a million rows. Never change it: the chunk's number is its idempotency key."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Rows that were new, and rows that were there already."""

    rows: int
    rows_known: int


def append(lake: Lake, load: Staged, table: str) -> Appended:
    """Append a load's rows to a raw table, a million at a time; chunks that are there already are skipped."""
    rows = known = number = 0
    for path in load.parts(table):
        with pq.ParquetFile(path) as file:
            groups = list(range(file.num_row_groups))
            for start in range(0, len(groups), _CHUNK_GROUPS):
                number += 1
                chunk = file.read_row_groups(groups[start : start + _CHUNK_GROUPS])
                plain = pa.Table.from_batches(chunk.to_batches(), schema=chunk.schema.remove_metadata())
                written = lake.write(table, plain, mode="append", key=(f"load:{load.load_id}", number))
                rows += written.rows
                known += plain.num_rows - written.rows
    return Appended(rows, known)
