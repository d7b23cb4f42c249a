"""Layer raw, loaded tables: every load with a mapping, appended once, as read.

Belongs here: the raw assets of such loads. Does not belong here: reading files (media.sources), judging rows (layer
core).
"""

from __future__ import annotations

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import described, result
from media.sources.append import append
from media.sources.base import INTERACTIONS, TABLE_TITLES, staged_loads
from nexus.lake.catalogue import declared


@dg.asset(**described(INTERACTIONS))
def raw_table__interactions(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the interactions of every load that is new."""
    return _append_all(platform, INTERACTIONS)


@dg.asset(**described(TABLE_TITLES))
def raw_table__titles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the titles of every load that is new."""
    return _append_all(platform, TABLE_TITLES)


def _append_all(platform: PlatformResource, table: str) -> dg.MaterializeResult[None]:
    lake = platform.lake()
    if not lake.exists(table):
        lake.write(table, declared(table).schema.empty_table(), mode="append")
    loads = [load for load in staged_loads(platform.settings().inbox) if load.parts(table)]
    rows = sum(append(lake, load, table).rows for load in loads)
    return result(lake, table, rows_written=rows, more={"loads": ", ".join(load.load_id for load in loads)})
