"""Layer marts: the ordered history and what is counted from it.

Belongs here: thin assets. Does not belong here: the rules (nexus.lake.transforms.marts).
"""

from __future__ import annotations

import dagster as dg

from assets.plots import interactions_by_month
from assets.resources import PlatformResource
from assets.tables import described, rebuild
from nexus.lake.transforms import marts

_INTERACTIONS = "marts_nexus__interactions"
_SOURCES = ("core_movielens__ratings", "core_loaded__interactions", "core_nexus__events")
_SPARK = ("deltalake", "spark")


@dg.asset(**described(_INTERACTIONS, kinds=_SPARK), deps=list(_SOURCES))
def marts_nexus__interactions(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Ratings and events that say something about taste, ordered by viewer and time."""
    return rebuild(platform, _INTERACTIONS, _SOURCES, marts.interactions)


@dg.asset(**described("marts_nexus__title_stats", kinds=_SPARK), deps=[_INTERACTIONS])
def marts_nexus__title_stats(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Count each title."""
    return rebuild(platform, "marts_nexus__title_stats", (_INTERACTIONS,), marts.title_stats)


@dg.asset(**described("marts_nexus__viewer_stats", kinds=_SPARK), deps=[_INTERACTIONS])
def marts_nexus__viewer_stats(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Count each viewer."""
    return rebuild(platform, "marts_nexus__viewer_stats", (_INTERACTIONS,), marts.viewer_stats)


@dg.asset(**described("marts_nexus__popularity_daily", kinds=_SPARK), deps=[_INTERACTIONS])
def marts_nexus__popularity_daily(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Count each title and day."""
    return rebuild(
        platform,
        "marts_nexus__popularity_daily",
        (_INTERACTIONS,),
        marts.popularity_daily,
        lambda lake: {
            "by_month": interactions_by_month(
                lake.read("marts_nexus__popularity_daily", columns=["day", "interactions"])
            )
        },
    )
