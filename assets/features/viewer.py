"""Viewer features over time, in the lake.

Belongs here: the asset. Does not belong here: how a feature is computed (features.compute).
"""

from __future__ import annotations

import dagster as dg

from assets.features.rebuild import rebuild
from assets.resources import PlatformResource
from assets.tables import described
from features import compute

_TABLE = "features_nexus__viewer"
_FROM = ("marts_nexus__interactions",)


@dg.asset(**described(_TABLE, kinds=("deltalake", "polars")), deps=[*_FROM])
def features_nexus__viewer(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Compute every viewer's features at each moment of activity."""
    return rebuild(
        platform, _TABLE, _FROM, compute.viewer_features, lambda rows: {"viewers": rows["user_id"].n_unique()}
    )
