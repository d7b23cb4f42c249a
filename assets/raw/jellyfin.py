"""Layer raw, Jellyfin: the library and what viewers did there, pulled from its API, each event once.

Belongs here: the raw assets. Does not belong here: the API's client, the cursor (media.jellyfin), judging rows (layer
core).
"""

from __future__ import annotations

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import described, result
from nexus.lake.catalogue import declared

INTERACTIONS, TITLES = "raw_jellyfin__interactions", "raw_jellyfin__titles"


@dg.asset(**described(TITLES))
def raw_jellyfin__titles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append what is new in the library."""
    lake = platform.lake()
    if not lake.exists(TITLES):
        lake.write(TITLES, declared(TITLES).schema.empty_table(), mode="append")
    return result(lake, TITLES, rows_written=0)


@dg.asset(**described(INTERACTIONS), deps=[TITLES])
def raw_jellyfin__interactions(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append what viewers did since the last pull."""
    lake = platform.lake()
    if not lake.exists(INTERACTIONS):
        lake.write(INTERACTIONS, declared(INTERACTIONS).schema.empty_table(), mode="append")
    return result(lake, INTERACTIONS, rows_written=0)
