"""Titles, from text as read to typed rows: MovieLens lines and titles of the API, judged and merged.

Belongs here: Spark DataFrame functions without side effects. Does not belong here: reading and writing tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.lake.transforms.columns import (
    WHOLE,
    first_problem,
    internal_id,
    movielens_issuer,
    parsed,
    problem,
    whole_text,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# "Matrix, The (1999)", "Death Note (2006-2007)": what MovieLens calls a title.
_TITLE_AND_YEAR = r"(?s)^(.*?)[ \t\x{a0}]*\(([0-9]{4})(?:[\x{2013}-][0-9 ]*)?\)[ \t\x{a0}]*\z"
_ARTICLE_BEHIND = r"(?s)^(.*), (The|A|An)( \(.*\))?\z"
_RECORD = (
    "content_id string, title string, content_type string, year int, genres array<string>, overview string, "
    "external_ids array<struct<issuer:string,value:string>>"
)
_PAIRS = "array<struct<issuer:string,value:string>>"
COLUMNS = (
    "content_id",
    "title",
    "content_type",
    "year",
    "genres",
    "overview",
    "external_ids",
    "source",
    "updated_at",
)


def judged_movielens(raw: DataFrame) -> DataFrame:
    """Every line with its typed columns and ``refusal`` (struct field, value, reason; null when the line is good).

    Of lines that name the same title, the newest load's first line is ``is_current``; a second line of the same load is
    refused as a duplicate.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    title = F.trim(raw["title"])
    has_year = title.rlike(_TITLE_AND_YEAR)
    name = F.when(has_year, F.regexp_extract(title, _TITLE_AND_YEAR, 1)).otherwise(title)
    given_year = F.when(has_year, F.regexp_extract(title, _TITLE_AND_YEAR, 2)).otherwise(F.trim(raw["year"]))
    year = parsed(given_year, r"^[0-9]{4}\z", "int")
    ref = whole_text(F.trim(raw["content_ref"]))
    typed = raw.withColumns(
        {
            "issuer": movielens_issuer(),
            "movie": ref,
            "name": F.regexp_replace(name, _ARTICLE_BEHIND, "$2 $1$3"),
            "year_number": F.when(year.between(1870, 2200), year),
        }
    )
    shape = first_problem(
        (F.col("problem").isNotNull(), problem("line", F.col("raw_text"), F.col("problem"))),
        (F.col("movie").isNull(), problem("movieId", F.col("content_ref"), "is not a whole number")),
        (F.coalesce(F.length("name"), F.lit(0)) == 0, problem("title", F.col("title"), "is empty")),
    )
    typed = typed.withColumn("shape", shape)
    good = F.col("shape").isNull()
    in_load = Window.partitionBy("issuer", "movie", "load_id", good).orderBy("line_number")
    over_loads = Window.partitionBy("issuer", "movie", good).orderBy(
        F.col("staged_at").desc(), "load_id", "line_number"
    )
    ranked = typed.withColumns({"nth": F.row_number().over(in_load), "rank": F.row_number().over(over_loads)})
    duplicate = F.when(good & (F.col("nth") > 1), problem("movieId", F.col("content_ref"), "occurs twice"))
    return ranked.withColumns(
        {"refusal": F.coalesce(F.col("shape"), duplicate), "is_current": good & (F.col("rank") == 1)}
    )


def from_movielens(judged: DataFrame) -> DataFrame:
    """The good lines as titles."""
    from pyspark.sql import functions as F  # noqa: N812

    reference = F.concat_ws(":", "issuer", "movie")
    genres = F.trim(F.coalesce(F.col("genres"), F.lit("")))
    listed = F.when(genres.isin("", "(no genres listed)"), F.array().cast("array<string>"))
    return judged.where(F.col("is_current")).select(
        internal_id("content", reference).alias("content_id"),
        F.col("name").alias("title"),
        F.lit("movie").alias("content_type"),
        F.col("year_number").alias("year"),
        listed.otherwise(F.split(genres, "[|]")).alias("genres"),
        F.lit(None).cast("string").alias("overview"),
        _external_ids().alias("external_ids"),
        F.col("issuer").alias("source"),
        F.col("staged_at").alias("updated_at"),
    )


def _external_ids() -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return external_ids((F.col("issuer"), F.col("movie")), imdb(), ("tmdb", whole_text(F.col("tmdb_ref"))))


def imdb() -> tuple[str, Column]:
    """IMDb's id as IMDb writes it: ``tt`` and at least seven digits."""
    from pyspark.sql import functions as F  # noqa: N812

    digits = F.regexp_replace("imdb_ref", "^tt", "")
    number = F.when(digits.rlike(WHOLE), digits)
    return "imdb", F.concat(F.lit("tt"), F.when(F.length(number) < 7, F.lpad(number, 7, "0")).otherwise(number))


def external_ids(*pairs: tuple[str | Column, Column]) -> Column:
    """Issuer and value of those ids that are there."""
    from pyspark.sql import functions as F  # noqa: N812

    # Sail wants every struct of an array alike, a literal's "never null" included.
    structs = [
        F.struct(
            F.when(value.isNotNull(), F.lit(issuer) if isinstance(issuer, str) else issuer).alias("issuer"),
            value.alias("value"),
        )
        for issuer, value in pairs
    ]
    return F.filter(F.array(*structs).cast(_PAIRS), lambda pair: pair["value"].isNotNull())


def judged_nexus(raw: DataFrame) -> DataFrame:
    """Titles of the API with ``record`` (typed) and ``refusal``; the newest entry of a title is ``is_current``."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    typed = raw.withColumn("record", F.from_json("body", _RECORD))
    record = F.col("record")
    refusal = first_problem(
        (record["content_id"].isNull(), problem("content_id", F.col("body"), "is missing or the entry is not JSON")),
        (F.length(record["content_id"]) != 36, problem("content_id", record["content_id"], "is not a UUID")),
        (
            F.coalesce(F.length(F.trim(record["title"])), F.lit(0)) == 0,
            problem("title", record["title"], "is empty"),
        ),
    )
    typed = typed.withColumns({"refusal": refusal, "id": F.lower(record["content_id"]), **stream_position()})
    good = F.col("refusal").isNull()
    newest = Window.partitionBy("id", good).orderBy(F.col("stream_ms").desc(), F.col("stream_seq").desc())
    return typed.withColumn("is_current", good & (F.row_number().over(newest) == 1))


def from_nexus(judged: DataFrame) -> DataFrame:
    """The good entries as titles."""
    from pyspark.sql import functions as F  # noqa: N812

    record = F.col("record")
    no_pairs = F.array().cast(_PAIRS)
    return judged.where(F.col("is_current")).select(
        F.col("id").alias("content_id"),
        F.trim(record["title"]).alias("title"),
        F.coalesce(record["content_type"], F.lit("movie")).alias("content_type"),
        F.when(record["year"].between(1870, 2200), record["year"]).alias("year"),
        F.coalesce(record["genres"], F.array().cast("array<string>")).alias("genres"),
        record["overview"].alias("overview"),
        F.coalesce(record["external_ids"], no_pairs).alias("external_ids"),
        F.lit("nexus").alias("source"),
        F.timestamp_millis("stream_ms").alias("updated_at"),
    )


def stream_position() -> dict[str, Column]:
    """Columns that order entries of a Redis stream: milliseconds and sequence number of ``stream_id``."""
    from pyspark.sql import functions as F  # noqa: N812

    parts = F.split("stream_id", "-")
    return {"stream_ms": parts.getItem(0).cast("bigint"), "stream_seq": parts.getItem(1).cast("bigint")}


def together(first: DataFrame, *others: DataFrame) -> DataFrame:
    """Titles of several sources; where two know a title, the first one's words stand."""
    found = first.select(*COLUMNS)
    for other in others:
        found = found.unionByName(other.select(*COLUMNS).join(found.select("content_id"), "content_id", "left_anti"))
    return found


def merged(movielens: DataFrame, nexus: DataFrame) -> DataFrame:
    """One row per title. Where both know it, the API's words win, and the external ids of both are kept."""
    from pyspark.sql import functions as F  # noqa: N812

    known = movielens.select("content_id", F.col("external_ids").alias("their_ids"), F.col("overview").alias("theirs"))
    of_api = (
        nexus.join(known, "content_id", "left")
        .withColumns(
            {
                "external_ids": F.when(
                    F.col("their_ids").isNotNull(), F.array_distinct(F.concat("their_ids", "external_ids"))
                ).otherwise(F.col("external_ids")),
                "overview": F.coalesce("overview", "theirs"),
            }
        )
        .select(*COLUMNS)
    )
    rest = movielens.join(nexus.select("content_id"), "content_id", "left_anti")
    return rest.select(*COLUMNS).unionByName(of_api).orderBy("content_id")
