"""The training set, in the lake.

Belongs here: the asset. Does not belong here: the join, order and splits (features.examples).
"""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.features.rebuild import rebuild
from assets.resources import PlatformResource
from assets.tables import described
from features.examples import examples

_TABLE = "training_nexus__examples"
_FROM = ("marts_nexus__interactions", "features_nexus__viewer", "features_nexus__title")


@dg.asset(
    **{**described(_TABLE, kinds=("deltalake", "polars")), "group_name": "features"},
    deps=[*_FROM, "feast_online__recommender"],
)
def training_nexus__examples(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Join every interaction with what was known strictly before it."""
    return rebuild(platform, _TABLE, _FROM, examples, _splits)


def _splits(rows: pl.DataFrame) -> dict[str, int]:
    counted = dict(rows.group_by("split").len().iter_rows())
    return {f"rows_{split}": counted.get(split, 0) for split in ("train", "validation", "test")}
