"""Facts from the lake to where they are served.

Belongs here: the asset. Does not belong here: merging into Postgres and Redis (nexus.db).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import OWNER, SERVER_MAY_RESTART
from nexus.db import publish
from nexus.db.pool import connect
from nexus.db.seen import write_seen
from nexus.lake.lake import Lake

_RATINGS, _LOADED, _EVENTS = "core_movielens__ratings", "core_loaded__interactions", "core_nexus__events"
_TITLES, _INTERACTIONS, _STATISTICS = "core_nexus__titles", "marts_nexus__interactions", "marts_nexus__title_stats"
_FROM = (_RATINGS, _LOADED, _EVENTS, _TITLES, _INTERACTIONS, _STATISTICS)


@dg.asset(
    group_name="serving", owners=[OWNER], kinds={"postgres", "redis"}, deps=list(_FROM), retry_policy=SERVER_MAY_RESTART
)
def serving_nexus__facts(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Merge viewers, titles, interactions and popularity into Postgres, histories and hidden titles into Redis."""
    lake = platform.lake()
    versions = {table: lake.version(table) for table in _FROM}
    settings = platform.settings()
    done = publish.publish(settings, _facts(lake, versions))
    with connect(settings, "pipeline") as connection:
        viewers_with_seen = write_seen(connection, Path(settings.bundle_url))
    written = {
        f"{step}/{figure}": count
        for step, figures in asdict(done).items()
        if isinstance(figures, dict)
        for figure, count in figures.items()
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.interactions.rows,
            "engagement_days": done.engagement_days,
            "viewers_with_seen": viewers_with_seen,
            "made_from": str(versions),
            **written,
        },
        data_version=dg.DataVersion(",".join(f"{table}@{version}" for table, version in versions.items())),
    )


def _facts(lake: Lake, versions: dict[str, int | None]) -> publish.Facts:
    frames = {table: pl.DataFrame(lake.read(table, version=version)) for table, version in versions.items()}
    viewers = pl.concat(
        [frames[table].select("user_id", "user_ref") for table in (_RATINGS, _LOADED, _EVENTS)]
    ).unique()
    return publish.Facts(
        viewers=viewers,
        titles=frames[_TITLES],
        interactions=publish.with_all_types(frames[_INTERACTIONS], frames[_EVENTS], frames[_LOADED]),
        popularity=frames[_STATISTICS],
    )
