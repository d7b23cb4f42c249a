"""What will become of a staged load, before the pipeline runs: the same rules, counted.

Belongs here: counting, a part of a million lines at a time. Does not belong here: the rules (nexus.lake.transforms).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from media.sources.base import RATINGS, Staged
from nexus.lake.lake import Lake
from nexus.lake.transforms import loaded, ratings, titles

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
    return lake.last_key(load.ratings_table, f"load:{load.load_id}") is not None


def review(lake: Lake, load: Staged) -> dict[str, Review]:
    """Judge a staged load; interactions may name titles of the load and titles that the lake knows.

    Lines are judged in parts of a million, so that memory stays the same: a line that repeats one of another part is
    counted as good here, and refused by the pipeline.
    """
    is_movielens = load.ratings_table == RATINGS
    judged_titles = [
        titles.judged_movielens(rows) if is_movielens else loaded.judged_titles(rows)
        for rows in _staged(lake, load.parts(load.titles_table))
    ]
    named = [titles.from_movielens(rows) if is_movielens else loaded.from_loaded(rows) for rows in judged_titles]
    known = titles.together(*named).select("content_id")
    if lake.exists("core_nexus__titles"):
        known = known.union(lake.spark_table("core_nexus__titles").select("content_id"))
    judge = ratings.judged if is_movielens else loaded.judged
    judged = (judge(rows, known) for rows in _staged(lake, load.parts(load.ratings_table)))
    return {"ratings" if is_movielens else "events": _counted(judged), "titles": _counted(judged_titles)}


def _staged(lake: Lake, paths: Iterable[Path]) -> Iterable[DataFrame]:
    for path in paths:
        if lake.is_embedded:
            yield lake.spark().read.parquet(str(path))
        else:
            yield lake.spark().createDataFrame(pq.read_table(path))


def _counted(parts: Iterable[DataFrame]) -> Review:
    from pyspark.sql import functions as F  # noqa: N812

    reason = F.concat_ws(" ", F.col("refusal")["field"], F.col("refusal")["reason"])
    counts: Counter[str | None] = Counter()
    for judged in parts:
        rows = judged.groupBy(F.when(F.col("refusal").isNotNull(), reason).alias("why")).count().toArrow().to_pylist()
        counts.update({row["why"]: row["count"] for row in rows})
    refused = {why: count for why, count in counts.items() if why is not None}
    return Review(
        read=counts.total(),
        accepted=counts.total() - sum(refused.values()),
        refused=dict(sorted(refused.items(), key=lambda item: (-item[1], item[0]))),
    )
