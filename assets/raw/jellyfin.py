"""Layer raw, Jellyfin: the library and what viewers did there, pulled from its API, each event once.

Belongs here: the raw assets. Does not belong here: the API, paging, the cursor (media.sources.jellyfin), judging rows
(layer core).
"""

from __future__ import annotations

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import described, result
from media.sources.jellyfin.pull import INTERACTIONS, TITLES, pull
from nexus.lake.catalogue import declared


@dg.asset(**described(TITLES))
def raw_jellyfin__titles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append what is new or changed in the library."""
    return _pull(platform, TITLES)


@dg.asset(**described(INTERACTIONS), deps=[TITLES])
def raw_jellyfin__interactions(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append what viewers did since the last pull; the cursor of each viewer is the newest play that is committed."""
    return _pull(platform, INTERACTIONS)


def _pull(platform: PlatformResource, table: str) -> dg.MaterializeResult[None]:
    lake, settings = platform.lake(), platform.settings().jellyfin
    if not lake.exists(table):
        lake.write(table, declared(table).schema.empty_table(), mode="append")
    if settings.url is None:
        return result(lake, table, rows_written=0, more={"server": "none is set up (jellyfin.url)"})
    done = pull(lake, settings, tables=(table,))[table]
    more = {
        "server": settings.url,
        "items_read": done.read,
        "viewers": done.viewers,
        "cursors": dg.MetadataValue.json(done.cursors),
        "viewers_gone": dg.MetadataValue.json(done.gone),
    }
    return result(lake, table, rows_written=done.rows, more=more)
