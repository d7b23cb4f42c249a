"""Loaded tables and Jellyfin: interactions and titles from text as read to typed rows, each bad one with its reason.

Belongs here: Spark DataFrame functions without side effects. Does not belong here: reading and writing tables, the
MovieLens layouts (ratings, titles).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.events import EventType
from nexus.lake.transforms.columns import SIGNED, first_problem, internal_id, parsed, problem, whole_text
from nexus.lake.transforms.titles import external_ids, imdb

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_NUMBER = r"^[+-]?[0-9]{1,15}([.][0-9]{0,20})?([eE][+-]?[0-9]{1,2})?\z"
_REFERENCE = r"^[^\x00-\x20\x7f\x{85}\x{a0}\x{2028}\x{2029}]{1,128}\z"
_CLOCK_SKEW_US = 300 * 1_000_000
_RATE_MIN, _RATE_MAX = 0.5, 5.0


def judged(raw: DataFrame, titles: DataFrame) -> DataFrame:
    """Every row with its typed columns, ``refusal`` (null when the row is good) and ``is_current``.

    An event that an earlier load brought already is good, but not current: it adds nothing. The same event twice in
    one load is refused the second time.

    Args:
        raw: raw_table__interactions or raw_jellyfin__interactions.
        titles: Titles that are known; ``content_id`` is enough.
    """
    from pyspark.sql import functions as F  # noqa: N812

    number = parsed(F.trim("value"), _NUMBER, "double")
    typed = raw.withColumns(
        {
            "viewer": F.trim("user_ref"),
            "item": F.trim("content_ref"),
            "kind": F.lower(F.trim("interaction_type")),
            "number": number,
            "micros": parsed(F.col("occurred_at"), SIGNED, "bigint"),
            "has_value": F.length(F.trim(F.coalesce("value", F.lit("")))) > 0,
        }
    )
    is_rate = F.col("kind") == F.lit(str(EventType.RATE))
    low = F.coalesce(F.col("value_min"), F.when(is_rate, F.lit(_RATE_MIN)).otherwise(F.lit(0.0)))
    high = F.coalesce(F.col("value_max"), F.when(is_rate, F.lit(_RATE_MAX)).otherwise(F.lit(1.0)))
    typed = typed.withColumns(
        {
            "content_id": internal_id("content", F.concat_ws(":", "title_issuer", "item")),
            "low": low,
            "high": high,
            "event_id": _event_id(),
        }
    )
    known = titles.select("content_id").distinct().withColumn("is_known", F.lit(True))
    return _with_rank(typed.join(known, "content_id", "left").withColumn("shape", _shape()))


def _event_id() -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    micros = F.col("micros").cast("string")
    named = F.concat_ws(":", "issuer", "viewer", "item", "kind", micros)
    # A colon inside an id would let two events share a name.
    marked = F.concat_ws("\x1f", "viewer", "item", "kind", micros)
    made = F.when(
        F.concat("viewer", "item").contains(":") | (F.col("issuer") != F.col("title_issuer")),
        F.concat_ws(":", F.col("issuer"), F.sha1(F.concat_ws("\x1f", F.col("title_issuer"), marked))),
    ).otherwise(named)
    return F.coalesce(F.concat(F.col("issuer"), F.lit(":"), F.col("event_ref")), made)


def _shape() -> Column:
    """What is wrong with a row by itself."""
    from pyspark.sql import functions as F  # noqa: N812

    now = F.unix_timestamp("staged_at") * 1_000_000 + _CLOCK_SKEW_US
    known_type = F.coalesce(F.col("kind").isin(*map(str, EventType)), F.lit(False))
    has_scale = F.col("kind").isin("rate", "view")
    scale = F.coalesce(
        F.col("value_scale"), F.when(F.col("kind") == "rate", F.lit("0.5 to 5")).otherwise(F.lit("0 to 1"))
    )
    return first_problem(
        (
            F.col("problem").isNotNull(),
            problem(F.coalesce("problem_field", F.lit("line")), F.col("raw_text"), F.col("problem")),
        ),
        (~_is_reference("viewer"), problem("viewer", F.col("user_ref"), "is not an id (1 to 128 visible characters)")),
        (~_is_reference("item"), problem("title", F.col("content_ref"), "is not an id (1 to 128 visible characters)")),
        (~known_type, problem("type", F.col("interaction_type"), "is not a known type of event")),
        ((F.col("kind") == "rate") & ~F.col("has_value"), problem("value", F.col("value"), "a rating needs a value")),
        (
            has_scale & F.col("has_value") & F.col("number").isNull(),
            problem("value", F.col("value"), "is not a number"),
        ),
        (
            has_scale & ~F.coalesce(F.col("number").between(F.col("low"), F.col("high")), F.lit(True)),
            problem("value", F.col("value"), F.concat(F.lit("is not "), scale)),
        ),
        (F.col("micros").isNull(), problem("time", F.col("occurred_at"), "is not a time")),
        (F.col("micros") < 0, problem("time", F.col("raw_text"), "lies before 1970")),
        (F.col("micros") > now, problem("time", F.col("raw_text"), "lies in the future")),
        (F.col("is_known").isNull(), problem("title", F.col("content_ref"), "is not a known title")),
    )


def _is_reference(name: str) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.coalesce(F.col(name).rlike(_REFERENCE), F.lit(False))


def _with_rank(typed: DataFrame) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    good = F.col("shape").isNull()
    in_load = Window.partitionBy("event_id", "load_id", good).orderBy("file_name", "line_number")
    over_loads = Window.partitionBy("event_id", good).orderBy("staged_at", "load_id", "file_name", "line_number")
    ranked = typed.withColumns({"nth": F.row_number().over(in_load), "rank": F.row_number().over(over_loads)})
    twice = problem("time", F.col("raw_text"), "the same viewer, title, type and time occur twice")
    return ranked.withColumns(
        {
            "refusal": F.coalesce(F.col("shape"), F.when(good & (F.col("nth") > 1), twice)),
            "is_current": good & (F.col("rank") == 1),
        }
    )


def accepted(rows: DataFrame) -> DataFrame:
    """The good events, each once, as core_loaded__interactions; values on the platform's scales."""
    from pyspark.sql import functions as F  # noqa: N812

    share = (F.col("number") - F.col("low")) / (F.col("high") - F.col("low"))
    value = F.when(F.col("kind") == "rate", F.lit(_RATE_MIN) + share * F.lit(_RATE_MAX - _RATE_MIN)).when(
        F.col("kind") == "view", share
    )
    user_ref = F.concat_ws(":", "issuer", "viewer")
    return (
        rows.where(F.col("is_current"))
        .select(
            "event_id",
            F.col("kind").alias("event_type"),
            internal_id("user", user_ref).alias("user_id"),
            "content_id",
            user_ref.alias("user_ref"),
            F.concat_ws(":", "title_issuer", "item").alias("content_ref"),
            F.round(value, 6).alias("value"),
            F.timestamp_micros("micros").alias("occurred_at"),
            F.col("issuer").alias("source"),
            "load_id",
            "line_number",
        )
        .orderBy("occurred_at", "event_id")
    )


def judged_titles(raw: DataFrame) -> DataFrame:
    """Every title with its typed columns, ``refusal`` and ``is_current``: the newest load's first row of a title."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    year = parsed(F.trim("year"), r"^[0-9]{4}$", "int")
    typed = raw.withColumns(
        {"item": F.trim("content_ref"), "name": F.trim("title"), "year_number": F.when(year.between(1870, 2200), year)}
    )
    shape = first_problem(
        (
            F.col("problem").isNotNull(),
            problem(F.coalesce("problem_field", F.lit("line")), F.col("raw_text"), F.col("problem")),
        ),
        (~_is_reference("item"), problem("id", F.col("content_ref"), "is not an id (1 to 128 visible characters)")),
        (F.coalesce(F.length("name"), F.lit(0)) == 0, problem("title", F.col("title"), "is empty")),
    )
    typed = typed.withColumn("shape", shape)
    good = F.col("shape").isNull()
    order = ("file_name", "line_number")
    in_load = Window.partitionBy("issuer", "item", "load_id", good).orderBy(*order)
    over_loads = Window.partitionBy("issuer", "item", good).orderBy(F.col("staged_at").desc(), "load_id", *order)
    ranked = typed.withColumns({"nth": F.row_number().over(in_load), "rank": F.row_number().over(over_loads)})
    duplicate = F.when(good & (F.col("nth") > 1), problem("id", F.col("content_ref"), "occurs twice"))
    return ranked.withColumns(
        {"refusal": F.coalesce(F.col("shape"), duplicate), "is_current": good & (F.col("rank") == 1)}
    )


def from_loaded(judged: DataFrame) -> DataFrame:
    """The good rows as titles."""
    from pyspark.sql import functions as F  # noqa: N812

    from nexus.db.content import CONTENT_TYPES

    reference = F.concat_ws(":", "issuer", "item")
    genres = F.trim(F.coalesce(F.col("genres"), F.lit("")))
    no_genres = F.array().cast("array<string>")
    kind = F.lower(F.trim(F.coalesce("content_type", F.lit(""))))
    overview = F.trim("overview")
    return judged.where(F.col("is_current")).select(
        internal_id("content", reference).alias("content_id"),
        F.col("name").alias("title"),
        F.when(kind == "", F.lit("movie"))
        .when(kind.isin(*CONTENT_TYPES), kind)
        .otherwise(F.lit("other"))
        .alias("content_type"),
        F.col("year_number").alias("year"),
        F.when(genres == "", no_genres).otherwise(F.split(genres, " *[|] *")).alias("genres"),
        F.when(F.length(overview) > 0, F.substring(overview, 1, 20_000)).alias("overview"),
        external_ids(
            (F.col("issuer"), F.col("item")),
            imdb(),
            ("tmdb", whole_text(F.trim("tmdb_ref"))),
            ("tvdb", whole_text(F.trim("tvdb_ref"))),
        ).alias("external_ids"),
        F.col("issuer").alias("source"),
        F.col("staged_at").alias("updated_at"),
    )
