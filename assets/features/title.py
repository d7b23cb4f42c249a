"""Title features over time, in the lake.

Belongs here: the asset. Does not belong here: how a feature is computed (features.compute).
"""

from __future__ import annotations

import dagster as dg

from assets.features.rebuild import rebuild
from assets.resources import PlatformResource
from assets.tables import described
from features import compute

_TABLE = "features_nexus__title"
_FROM = ("marts_nexus__interactions",)


@dg.asset(**described(_TABLE, kinds=("deltalake", "polars")), deps=[*_FROM])
def features_nexus__title(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Compute every title's features at each moment at which something happened with it."""
    return rebuild(
        platform, _TABLE, _FROM, compute.title_features, lambda rows: {"titles": rows["content_id"].n_unique()}
    )
