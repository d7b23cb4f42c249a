"""Ratings, from text as read to typed rows, each bad line with the reason why it is refused.

Belongs here: Spark DataFrame functions without side effects. Does not belong here: reading and writing tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.lake.transforms.columns import (
    NUMBER,
    SIGNED,
    first_problem,
    internal_id,
    movielens_issuer,
    parsed,
    problem,
    whole_text,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MIN_RATING, MAX_RATING = 0.5, 5.0
_CLOCK_SKEW_S = 300


def judged(raw: DataFrame, titles: DataFrame) -> DataFrame:
    """Every line with its typed columns, ``refusal`` (null when the line is good) and ``is_current``.

    A rating that an earlier load brought already is good, but not current: it adds nothing. The same rating twice in
    one load is refused the second time.

    Args:
        raw: raw_movielens__ratings.
        titles: Titles that are known; ``content_id`` is enough.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    seconds = parsed(F.trim(raw["rated_at"]), SIGNED, "bigint")
    typed = raw.withColumns(
        {
            "issuer": movielens_issuer(),
            "viewer": whole_text(F.trim(raw["user_ref"])),
            "movie": whole_text(F.trim(raw["content_ref"])),
            "stars": parsed(F.trim(raw["rating"]), NUMBER, "double"),
            "seconds": seconds,
        }
    )
    typed = typed.withColumn("content_id", internal_id("content", F.concat_ws(":", "issuer", "movie")))
    known = titles.select("content_id").distinct().withColumn("is_known", F.lit(True))
    typed = typed.join(known, "content_id", "left")
    now = F.unix_timestamp("staged_at") + _CLOCK_SKEW_S
    shape = first_problem(
        (F.col("problem").isNotNull(), problem("line", F.col("raw_text"), F.col("problem"))),
        (F.col("viewer").isNull(), problem("userId", F.col("user_ref"), "is not a whole number")),
        (F.col("movie").isNull(), problem("movieId", F.col("content_ref"), "is not a whole number")),
        (F.col("stars").isNull(), problem("rating", F.col("rating"), "is not a number")),
        (~F.col("stars").between(MIN_RATING, MAX_RATING), problem("rating", F.col("rating"), "is not 0.5 to 5")),
        (F.col("seconds").isNull(), problem("timestamp", F.col("rated_at"), "is not a whole number of seconds")),
        (F.col("seconds") < 0, problem("timestamp", F.col("rated_at"), "lies before 1970")),
        (F.col("seconds") > now, problem("timestamp", F.col("rated_at"), "lies in the future")),
        (F.col("is_known").isNull(), problem("movieId", F.col("content_ref"), "is not a known title")),
    )
    event_id = F.concat_ws(":", "issuer", "viewer", "movie", F.col("seconds").cast("string"))
    typed = typed.withColumns({"shape": shape, "event_id": event_id})
    good = F.col("shape").isNull()
    in_load = Window.partitionBy("event_id", "load_id", good).orderBy("line_number")
    over_loads = Window.partitionBy("event_id", good).orderBy("staged_at", "load_id", "line_number")
    ranked = typed.withColumns({"nth": F.row_number().over(in_load), "rank": F.row_number().over(over_loads)})
    twice = problem("timestamp", F.col("rated_at"), "the same viewer, title and time occur twice")
    return ranked.withColumns(
        {
            "refusal": F.coalesce(F.col("shape"), F.when(good & (F.col("nth") > 1), twice)),
            "is_current": good & (F.col("rank") == 1),
        }
    )


def accepted(rows: DataFrame) -> DataFrame:
    """The good ratings, each once, as core_movielens__ratings."""
    from pyspark.sql import functions as F  # noqa: N812

    user_ref = F.concat_ws(":", "issuer", "viewer")
    return (
        rows.where(F.col("is_current"))
        .select(
            "event_id",
            internal_id("user", user_ref).alias("user_id"),
            "content_id",
            user_ref.alias("user_ref"),
            F.concat_ws(":", "issuer", "movie").alias("content_ref"),
            F.col("stars").alias("rating"),
            F.timestamp_seconds("seconds").alias("rated_at"),
            "load_id",
            "line_number",
        )
        .orderBy("rated_at", "event_id")
    )
