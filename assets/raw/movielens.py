"""Layer raw, MovieLens: every staged load, appended once, as read.

Belongs here: the raw assets of loads. Does not belong here: reading files (media.sources), judging rows (layer core).
"""

from __future__ import annotations

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import described, result
from media.sources.append import append
from media.sources.base import INTERACTIONS, RATINGS, TITLES, staged_loads
from nexus.errors import NexusError
from nexus.lake.catalogue import declared


@dg.asset(**described(RATINGS))
def raw_movielens__ratings(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the ratings of every load that is new."""
    return _append_all(platform, RATINGS)


@dg.asset(**described(TITLES))
def raw_movielens__titles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the titles of every load that is new."""
    return _append_all(platform, TITLES)


def _append_all(platform: PlatformResource, table: str) -> dg.MaterializeResult[None]:
    lake, settings = platform.lake(), platform.settings()
    inbox = settings.inbox
    loads = [load for load in staged_loads(inbox) if load.parts(table)]
    appended = [append(lake, load, table) for load in loads]
    is_elsewhere = settings.jellyfin.url is not None or any(load.parts(INTERACTIONS) for load in staged_loads(inbox))
    if not loads and is_elsewhere:
        lake.write(table, declared(table).schema.empty_table(), mode="append")
    if not lake.exists(table):
        raise NexusError(
            "there is nothing to load",
            field="inbox",
            value=inbox,
            remedy="run bin/nexus up, or bin/nexus load movielens PATH",
        )
    return result(
        lake,
        table,
        rows_written=sum(one.rows for one in appended),
        more={"loads": ", ".join(load.load_id for load in loads)},
    )
