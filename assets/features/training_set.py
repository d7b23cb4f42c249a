"""The training set, in the lake.

Belongs here: the asset. Does not belong here: the join, order and splits (features.examples).
"""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import described, result
from features.examples import examples
from nexus.lake.catalogue import declared

_TABLE = "training_nexus__examples"
_FROM = ("marts_nexus__interactions", "features_nexus__viewer", "features_nexus__title")


@dg.asset(
    **{**described(_TABLE, kinds=("deltalake", "polars")), "group_name": "features"},
    deps=[*_FROM, "feast_online__recommender"],
)
def training_nexus__examples(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Join every interaction with what was known strictly before it."""
    lake = platform.lake()
    versions = {table: lake.version(table) for table in _FROM}
    frames = [pl.DataFrame(lake.read(table, version=version)) for table, version in versions.items()]
    rows = examples(*frames)
    written = lake.write(_TABLE, rows.select(declared(_TABLE).schema.names), mode="overwrite")
    counts = dict(rows.group_by("split").len().iter_rows())
    return result(
        lake,
        _TABLE,
        rows_written=written.rows,
        more={"made_from": str(versions), **{f"rows_{split}": counts.get(split, 0) for split in sorted(counts)}},
    )
