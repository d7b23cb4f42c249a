"""Interactions and what is counted from them.

Belongs here: Spark DataFrame functions without side effects. Does not belong here: reading and writing tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.events import SEEN_TYPES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WINDOW_DAYS = 90


def interactions(ratings: DataFrame, tables: DataFrame, events: DataFrame) -> DataFrame:
    """The ordered history: ratings of loads, and what loaded tables and the API say about taste."""
    from pyspark.sql import functions as F  # noqa: N812

    rated = ratings.select(
        "user_id",
        "content_id",
        "event_id",
        F.lit("rate").alias("interaction_type"),
        F.col("rating").alias("value"),
        F.col("rated_at").alias("occurred_at"),
        F.split("user_ref", ":").getItem(0).alias("source"),
    )
    # One row per event id: when a sender uses the id of a loaded rating, the loaded rating stands.
    loaded = rated.unionByName(_about_taste(tables, F.col("source"), rated))
    sent = _about_taste(events, F.lit("nexus"), loaded)
    return loaded.unionByName(sent).orderBy("user_id", "occurred_at", "event_id")


def _about_taste(events: DataFrame, source: Column, known: DataFrame) -> DataFrame:
    """Those events that say something about taste and are not known yet."""
    from pyspark.sql import functions as F  # noqa: N812

    return (
        events.where(F.col("event_type").isin(*sorted(map(str, SEEN_TYPES))))
        .join(known.select("event_id"), "event_id", "left_anti")
        .select(
            "user_id",
            "content_id",
            "event_id",
            F.col("event_type").alias("interaction_type"),
            "value",
            "occurred_at",
            source.alias("source"),
        )
    )


def _mean_rating() -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.avg(F.when(F.col("interaction_type") == "rate", F.col("value")))


def title_stats(rows: DataFrame) -> DataFrame:
    """Counts, mean and popularity of each title, as of the newest interaction of all."""
    from pyspark.sql import functions as F  # noqa: N812

    newest = rows.agg(F.max("occurred_at").alias("as_of"))
    in_window = F.col("occurred_at") > F.col("as_of") - F.expr(f"interval {WINDOW_DAYS} days")
    counted = (
        rows.crossJoin(newest)
        .groupBy("content_id")
        .agg(
            F.count("*").cast("bigint").alias("interactions"),
            F.countDistinct("user_id").cast("bigint").alias("viewers"),
            _mean_rating().alias("mean_value"),
            F.sum(F.when(in_window, 1).otherwise(0).cast("bigint")).cast("bigint").alias("interactions_90d"),
            F.max("occurred_at").alias("last_interaction_at"),
            F.max("as_of").alias("as_of"),
        )
        .withColumn("weight", F.log1p("interactions") + F.log1p("interactions_90d"))
    )
    largest = counted.agg(F.max("weight").alias("largest"))
    return (
        counted.crossJoin(largest)
        .select(
            "content_id",
            "interactions",
            "viewers",
            "mean_value",
            "interactions_90d",
            (F.col("weight") / F.col("largest")).alias("popularity_score"),
            "last_interaction_at",
            "as_of",
        )
        .orderBy("content_id")
    )


def viewer_stats(rows: DataFrame) -> DataFrame:
    """Counts, mean and span of each viewer."""
    from pyspark.sql import functions as F  # noqa: N812

    return (
        rows.groupBy("user_id")
        .agg(
            F.count("*").cast("bigint").alias("interactions"),
            _mean_rating().alias("mean_value"),
            F.min("occurred_at").alias("first_at"),
            F.max("occurred_at").alias("last_at"),
        )
        .orderBy("user_id")
    )


def popularity_daily(rows: DataFrame) -> DataFrame:
    """Interactions of each title on each day that had any, and their running sum."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    daily = rows.groupBy(F.to_date("occurred_at").alias("day"), F.col("content_id")).agg(
        F.count("*").cast("bigint").alias("interactions")
    )
    running = Window.partitionBy("content_id").orderBy("day").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return (
        daily.withColumn("cumulative_interactions", F.sum("interactions").over(running).cast("bigint"))
        .select("day", "content_id", "interactions", "cumulative_interactions")
        .orderBy("day", "content_id")
    )
