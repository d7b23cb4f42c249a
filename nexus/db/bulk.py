"""Many rows at once: a frame goes into a temporary table by COPY; SQL merges it from there.

Belongs here: the one way of staging rows. Does not belong here: the merges (each table's module).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson
import polars as pl
import psycopg
import pyarrow as pa
from psycopg import sql

Frame: TypeAlias = pa.Table | pl.DataFrame


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk write did.

    Attributes:
        rows: Rows that were offered.
        written: Rows that were inserted or changed.
        skipped: Rows that refer to what is unknown; the rest was there already.
    """

    rows: int
    written: int
    skipped: int = 0


def as_polars(frame: Frame) -> pl.DataFrame:
    """The frame as polars, without a copy where possible."""
    if isinstance(frame, pl.DataFrame):
        return frame
    converted = pl.from_arrow(frame)
    if not isinstance(converted, pl.DataFrame):
        raise TypeError("expected a table")
    return converted


def json_column(values: Iterable[object]) -> pl.Series:
    """Values as JSON text, for a staging column of type jsonb."""
    return pl.Series([None if value is None else orjson.dumps(value).decode() for value in values], dtype=pl.String)


def stage(connection: psycopg.Connection, name: str, columns: Mapping[str, str], frame: pl.DataFrame) -> None:
    """Copy the columns of a frame into a temporary table that lives as long as the transaction.

    Args:
        connection: In a transaction.
        name: The temporary table's name.
        columns: Column name to Postgres type, in order; the frame has them all.
        frame: The rows. Lists and structs go as JSON text (:func:`json_column`).
    """
    fields = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), _type(kind)) for column, kind in columns.items()
    )
    connection.execute(sql.SQL("create temporary table {} ({}) on commit drop").format(sql.Identifier(name), fields))
    copy = sql.SQL("copy {} from stdin (format csv)").format(sql.Identifier(name))
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        for part in frame.select(*columns).iter_slices(20_000):
            buffer = io.BytesIO()
            part.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6f+00")
            stream.write(buffer.getvalue())
    connection.execute(sql.SQL("analyze {}").format(sql.Identifier(name)))


def _type(kind: str) -> sql.SQL:
    if kind not in {"uuid", "text", "smallint", "bigint", "double precision", "timestamptz", "jsonb"}:
        raise ValueError(f"no such staging type: {kind}")
    return sql.SQL(kind)
