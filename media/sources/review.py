"""What will become of a staged load, before the pipeline runs: the same rules, counted.

Belongs here: counting. Does not belong here: the rules (nexus.lake.transforms).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from media.sources.base import RATINGS, Staged
from nexus.lake.lake import Lake
from nexus.lake.transforms import ratings, titles

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True)
class Review:
    """Lines of one kind.

    Attributes:
        read: Lines, good and bad.
        accepted: Good lines.
        refused: ``field reason`` -> lines, most frequent first.
    """

    read: int
    accepted: int
    refused: dict[str, int]


def is_taken(lake: Lake, load: Staged) -> bool:
    """Whether the raw tables have this load already."""
    return lake.last_key(RATINGS, f"load:{load.load_id}") is not None


def review(lake: Lake, load: Staged) -> dict[str, Review]:
    """Judge a staged load; ratings may name titles of the load and titles that the lake knows."""
    judged_titles = titles.judged_movielens(_staged(lake, load.titles_path))
    known = titles.from_movielens(judged_titles).select("content_id")
    if lake.exists("core_nexus__titles"):
        known = known.union(lake.spark_table("core_nexus__titles").select("content_id"))
    judged_ratings = ratings.judged(_staged(lake, load.ratings_path), known)
    return {"ratings": _counted(judged_ratings), "titles": _counted(judged_titles)}


def _staged(lake: Lake, path: Path) -> DataFrame:
    if lake.is_embedded:
        return lake.spark().read.parquet(str(path))
    return lake.spark().createDataFrame(pq.read_table(path))


def _counted(judged: DataFrame) -> Review:
    from pyspark.sql import functions as F  # noqa: N812

    reason = F.concat_ws(" ", F.col("refusal")["field"], F.col("refusal")["reason"])
    counts = judged.groupBy(F.when(F.col("refusal").isNotNull(), reason).alias("why")).count().toArrow().to_pylist()
    refused = {row["why"]: row["count"] for row in counts if row["why"] is not None}
    read = sum(row["count"] for row in counts)
    return Review(
        read=read,
        accepted=read - sum(refused.values()),
        refused=dict(sorted(refused.items(), key=lambda item: (-item[1], item[0]))),
    )
