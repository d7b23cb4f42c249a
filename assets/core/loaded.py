"""Layer core, loaded tables and Jellyfin: typed, judged, deduplicated.

Belongs here: thin assets. Does not belong here: the rules (nexus.lake.transforms.loaded).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import described, rebuild
from nexus.lake.transforms import loaded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NAME = "core_loaded__interactions"
_SOURCES = ("raw_table__interactions", "raw_jellyfin__interactions", "core_nexus__titles")


@dg.asset(**described(_NAME, kinds=("deltalake", "spark")), deps=list(_SOURCES))
def core_loaded__interactions(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Judge every raw row of loaded tables and of Jellyfin; keep the good ones once each."""
    return rebuild(platform, _NAME, _SOURCES, _accepted)


def _accepted(tables: DataFrame, jellyfin: DataFrame, titles: DataFrame) -> DataFrame:
    return loaded.accepted(loaded.judged(tables.unionByName(jellyfin), titles))
