"""Layer core, MovieLens ratings: typed, judged, deduplicated.

Belongs here: thin assets. Does not belong here: the rules (nexus.lake.transforms.ratings).
"""

from __future__ import annotations

import dagster as dg

from assets.plots import ratings_histogram
from assets.resources import PlatformResource
from assets.tables import described, rebuild
from nexus.lake.transforms import ratings

_SOURCES = ("raw_movielens__ratings", "core_nexus__titles")


@dg.asset(**described("core_movielens__ratings", kinds=("deltalake", "spark")), deps=list(_SOURCES))
def core_movielens__ratings(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Judge every raw rating; keep the good ones once each."""
    return rebuild(
        platform,
        "core_movielens__ratings",
        _SOURCES,
        lambda raw, titles: ratings.accepted(ratings.judged(raw, titles)),
        lambda lake: {"ratings": ratings_histogram(lake.read("core_movielens__ratings", columns=["rating"]))},
    )
