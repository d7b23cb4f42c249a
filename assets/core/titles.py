"""Layer core, titles: MovieLens, loaded tables, Jellyfin and the API's own, one row per title.

Belongs here: thin assets. Does not belong here: the rules (nexus.lake.transforms.titles).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import described, rebuild
from nexus.lake.transforms import loaded, titles

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SOURCES = ("raw_movielens__titles", "raw_table__titles", "raw_jellyfin__titles", "raw_nexus__titles")


@dg.asset(**described("core_nexus__titles", kinds=("deltalake", "spark")), deps=list(_SOURCES))
def core_nexus__titles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Judge every raw title; merge what loads and the API know."""
    return rebuild(platform, "core_nexus__titles", _SOURCES, _titles)


def _titles(movielens: DataFrame, tables: DataFrame, jellyfin: DataFrame, nexus: DataFrame) -> DataFrame:
    loads = titles.together(
        titles.from_movielens(titles.judged_movielens(movielens)),
        loaded.from_loaded(loaded.judged_titles(jellyfin)),
        loaded.from_loaded(loaded.judged_titles(tables)),
    )
    return titles.merged(loads, titles.from_nexus(titles.judged_nexus(nexus)))
