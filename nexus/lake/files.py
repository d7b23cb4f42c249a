"""How many files a table has, and how large they are.

Belongs here: reading that off the table's log. Does not belong here: changing files (nexus.lake.maintenance).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from nexus.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Files:
    """Data files of the newest version."""

    count: int
    bytes: int


def files(lake: Lake, table: str) -> Files:
    """Count them."""
    actions = pa.table(DeltaTable(lake.uri_of(table)).get_add_actions(flatten=True))
    sizes = pl.DataFrame(actions.select(["size_bytes"]))["size_bytes"]
    return Files(len(sizes), int(sizes.sum()))
