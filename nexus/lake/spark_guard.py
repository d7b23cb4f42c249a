"""The guards as Spark jobs, for frames that stay with the engine: the same rules and errors as nexus.lake.guard.

Belongs here: checks over a Spark frame that collect counts, never rows. Does not belong here: the rules' words (nexus.lake.guard).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from nexus.lake import guard
from nexus.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ROWS = "rows"


def arrow_schema(frame: DataFrame) -> pa.Schema:
    """The frame's columns in Arrow's types, without computing a row."""
    from pyspark.sql.pandas.types import to_arrow_schema

    schema: pa.Schema = to_arrow_schema(frame.schema, error_on_duplicated_field_names_in_struct=False, timezone="UTC")
    return schema


def check_rows(table: Table, frame: DataFrame, partition: Mapping[str, str] | None) -> int:
    """Refuse nulls where none may be and rows outside the partition, in one job; returns how many rows there are.

    Raises:
        NexusError: category ``invalid``.
    """
    from pyspark.sql import functions as F  # noqa: N812

    strict = [column.name for column in table.schema if not column.nullable]
    wanted = guard.partition_of(table, partition) if partition is not None else {}
    counted = [F.count("*").alias(_ROWS)]
    counted += [F.count(F.when(F.col(name).isNull(), 1)).alias(f"null_{n}") for n, name in enumerate(strict)]
    for number, (name, value) in enumerate(wanted.items()):
        text = F.col(name).cast("string")
        counted.append(F.count(F.when(text.isNull() | (text != value), 1)).alias(f"outside_{number}"))
        counted.append(F.max(F.when(text != value, text)).alias(f"other_{number}"))
    found = frame.agg(*counted).toArrow().to_pylist()[0]
    guard.refuse(table, guard.null_faults(table, {name: found[f"null_{n}"] for n, name in enumerate(strict)}))
    for number, (name, value) in enumerate(wanted.items()):
        if found[f"outside_{number}"]:
            others = [str(found[f"other_{number}"])]
            raise guard.outside_partition(table, name, value, found[f"outside_{number}"], others)
    return int(found[_ROWS])


def check_unique(table: Table, frame: DataFrame) -> None:
    """Refuse rows that share a primary key.

    Raises:
        NexusError: category ``conflict``.
    """
    from pyspark.sql import functions as F  # noqa: N812

    if not table.primary_key:
        return
    twice = frame.groupBy(*table.primary_key).agg(F.count("*").alias("count")).where(F.col("count") > 1)
    example = [F.first(name).alias(name) for name in (*table.primary_key, "count")]
    found = twice.agg(F.count("*").alias(_ROWS), *example).toArrow().to_pylist()[0]
    keys = found.pop(_ROWS)
    if keys:
        raise guard.repeated(table, keys, found)
