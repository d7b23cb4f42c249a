"""The newest feature values, online.

Belongs here: the asset. Does not belong here: definitions and the store (features).
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import OWNER, SERVER_MAY_RESTART
from features import compute, definitions, store

_TABLES = tuple(view.table for view in definitions.VIEWS)


@dg.asset(
    group_name="features", owners=[OWNER], kinds={"feast", "redis"}, deps=list(_TABLES), retry_policy=SERVER_MAY_RESTART
)
def feast_online__recommender(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Apply the Feast repository, then materialise the newest values of viewers and titles into Redis."""
    settings, lake = platform.settings(), platform.lake()
    versions = {view.table: lake.version(view.table) for view in definitions.VIEWS}
    newest = {
        view.name: compute.latest(pl.DataFrame(lake.read(view.table, version=versions[view.table])), view.key)
        for view in definitions.VIEWS
    }
    feast = store.feature_store(settings)
    try:
        store.apply(feast, settings)
        store.publish(feast, newest, now=datetime.now(UTC))
    finally:
        store.release(feast)
    rows = {name: frame.height for name, frame in newest.items()}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(rows.values()),
            "service": definitions.SERVICE,
            "made_from": str(versions),
            **rows,
        },
        data_version=dg.DataVersion(",".join(f"{table}@{version}" for table, version in versions.items())),
    )
