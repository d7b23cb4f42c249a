"""What was refused, in one shape, whatever layer-raw table it came from.

Belongs here: Spark DataFrame functions without side effects. Does not belong here: why a row is refused (ratings, titles, events).
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from nexus.lake.transforms.columns import MAX_RAW

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def of_lines(judged: DataFrame, source: str) -> DataFrame:
    """Refused lines of a load."""
    from pyspark.sql import functions as F  # noqa: N812

    key = F.concat_ws(":", F.lit(source), "load_id", "file_name", F.col("line_number").cast("string"))
    return _refused(judged, source, key, F.col("load_id"), F.col("line_number"), F.col("raw_text"), F.col("staged_at"))


def of_entries(judged: DataFrame, source: str) -> DataFrame:
    """Refused entries of a stream."""
    from pyspark.sql import functions as F  # noqa: N812

    key = F.concat_ws(":", F.lit(source), "stream_id")
    position = F.col("stream_seq")
    return _refused(judged, source, key, F.lit("stream"), position, F.col("body"), F.col("drained_at"))


def _refused(
    judged: DataFrame, source: str, key: Column, load: Column, position: Column, raw: Column, at: Column
) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812

    refusal = F.col("refusal")
    return judged.where(refusal.isNotNull()).select(
        key.alias("row_key"),
        F.lit(source).alias("source"),
        load.alias("load_id"),
        position.alias("line_number"),
        refusal["field"].alias("field"),
        refusal["value"].alias("value"),
        refusal["reason"].alias("reason"),
        F.substring(raw, 1, MAX_RAW).alias("raw_text"),
        at.alias("quarantined_at"),
    )


def together(*parts: DataFrame) -> DataFrame:
    """All of them, in a stable order."""
    return reduce(lambda one, other: one.unionByName(other), parts).orderBy("row_key")
