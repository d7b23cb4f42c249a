"""Viewer features over time, in the lake.

Belongs here: the asset. Does not belong here: how a feature is computed (features.compute).
"""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import described, result
from features import compute
from nexus.lake.catalogue import declared

_TABLE = "features_nexus__viewer"
_FROM = "marts_nexus__interactions"


@dg.asset(**described(_TABLE, kinds=("deltalake", "polars")), deps=[_FROM])
def features_nexus__viewer(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Compute every viewer's features at each moment of activity."""
    lake = platform.lake()
    source = lake.version(_FROM)
    rows = compute.viewer_features(pl.DataFrame(lake.read(_FROM, version=source)))
    written = lake.write(_TABLE, rows.select(declared(_TABLE).schema.names), mode="overwrite")
    return result(
        lake,
        _TABLE,
        rows_written=written.rows,
        more={"made_from": f"{_FROM}@{source}", "viewers": rows["user_id"].n_unique()},
    )
