"""Layer core, quarantine: every refused line and entry with field, value and reason.

Belongs here: thin assets. Does not belong here: the rules (nexus.lake.transforms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import Metadata, described, rebuild
from nexus.lake.lake import Lake
from nexus.lake.transforms import events, loaded, quarantine, ratings, titles

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NAME = "core_nexus__quarantine"
_SOURCES = (
    "raw_movielens__ratings",
    "raw_movielens__titles",
    "raw_nexus__titles",
    "raw_nexus__events",
    "raw_table__interactions",
    "raw_table__titles",
    "raw_jellyfin__interactions",
    "raw_jellyfin__titles",
    "core_nexus__titles",
)


@dg.asset(**described(_NAME, kinds=("deltalake", "spark")), deps=list(_SOURCES))
def core_nexus__quarantine(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Keep what was refused, with the reason."""
    return rebuild(platform, _NAME, _SOURCES, _refused, _reasons)


def _refused(
    raw_ratings: DataFrame,
    raw_titles: DataFrame,
    nexus_titles: DataFrame,
    nexus_events: DataFrame,
    tables: DataFrame,
    table_titles: DataFrame,
    jellyfin: DataFrame,
    jellyfin_titles: DataFrame,
    known: DataFrame,
) -> DataFrame:
    return quarantine.together(
        quarantine.of_lines(ratings.judged(raw_ratings, known), "movielens.ratings"),
        quarantine.of_lines(titles.judged_movielens(raw_titles), "movielens.titles"),
        quarantine.of_entries(titles.judged_nexus(nexus_titles), "nexus.titles"),
        quarantine.of_entries(events.judged(nexus_events), "nexus.events"),
        quarantine.of_lines(loaded.judged(tables, known), "table.interactions"),
        quarantine.of_lines(loaded.judged_titles(table_titles), "table.titles"),
        quarantine.of_lines(loaded.judged(jellyfin, known), "jellyfin.interactions"),
        quarantine.of_lines(loaded.judged_titles(jellyfin_titles), "jellyfin.titles"),
    )


def _reasons(lake: Lake) -> Metadata:
    counted = lake.scan(_NAME).group_by("source", "field", "reason").len().sort("len", descending=True).collect()
    lines = ["| source | field | reason | rows |", "|---|---|---|---|"]
    lines += [f"| {source} | {field} | {reason} | {rows} |" for source, field, reason, rows in counted.iter_rows()]
    return {"reasons": dg.MetadataValue.md("\n".join(lines))}
