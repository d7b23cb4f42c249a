"""Title features over time, in the lake.

Belongs here: the asset. Does not belong here: how a feature is computed (features.compute).
"""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import described, result
from features import compute
from nexus.lake.catalogue import declared

_TABLE = "features_nexus__title"
_FROM = "marts_nexus__interactions"


@dg.asset(**described(_TABLE, kinds=("deltalake", "polars")), deps=[_FROM])
def features_nexus__title(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Compute every title's features at each moment at which something happened."""
    lake = platform.lake()
    source = lake.version(_FROM)
    rows = compute.title_features(pl.DataFrame(lake.read(_FROM, version=source)))
    written = lake.write(_TABLE, rows.select(declared(_TABLE).schema.names), mode="overwrite")
    return result(
        lake,
        _TABLE,
        rows_written=written.rows,
        more={"made_from": f"{_FROM}@{source}", "titles": rows["content_id"].n_unique()},
    )
