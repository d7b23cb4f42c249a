"""The newest feature values, online.

Belongs here: the asset. Does not belong here: definitions and the store (features).
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import OWNER
from features import definitions, store

_TABLES = tuple(view.table for view in definitions.VIEWS)


@dg.asset(group_name="features", owners=[OWNER], kinds={"feast", "redis"}, deps=list(_TABLES))
def feast_online__recommender(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Apply the Feast repository, then materialise the newest values of viewers and titles into Redis."""
    settings, lake = platform.settings(), platform.lake()
    versions = {view.table: lake.version(view.table) for view in definitions.VIEWS}
    rows = {
        view.name: len(lake.read(view.table, columns=[view.key]).column(view.key).unique())
        for view in definitions.VIEWS
    }
    feast = store.feature_store(settings)
    store.apply(feast, settings)
    store.publish(feast, [name for name, count in rows.items() if count], now=datetime.now(UTC))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(rows.values()),
            "service": definitions.SERVICE,
            "made_from": str(versions),
            **rows,
        },
        data_version=dg.DataVersion(",".join(f"{table}@{version}" for table, version in versions.items())),
    )
