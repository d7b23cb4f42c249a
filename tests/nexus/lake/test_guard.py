"""The guards, without any file."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.errors import Category, NexusError
from nexus.lake import guard
from nexus.lake.catalogue import TABLES, declared
from nexus.lake.drain import position_of, stream_id_of
from nexus.lake.table import Table, instant, number, text, whole
from nexus.lake.table import date as day_column

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = Table(
    name="core_test__things",
    description="a table for tests",
    schema=pa.schema(
        [text("id", "key"), whole("n", "a count"), number("x", "may be null", nullable=True), instant("at", "when")]
    ),
    primary_key=("id",),
)
GOOD = pa.table(
    {
        "id": pa.array(["a"]),
        "n": pa.array([1], pa.int64()),
        "x": pa.array([None], pa.float64()),
        "at": pa.array([NOW], pa.timestamp("us", "UTC")),
    }
)


def _with(name: str, column: pa.Array) -> pa.Table:
    return GOOD.set_column(GOOD.schema.names.index(name), name, column)


@pytest.mark.parametrize(
    ("frame", "column", "got"),
    [
        (GOOD.drop_columns(["n"]), "n", "no such column"),
        (GOOD.append_column("extra", pa.array([1])), "extra", "an extra column"),
        (GOOD.rename_columns(["ID", "n", "x", "at"]), "id", "no such column (but ID)"),
        (GOOD.append_column("id", pa.array(["b"])), "id", "it twice"),
        (_with("n", pa.array([1.5])), "n", "double"),
        (_with("n", pa.array(["7"])), "n", "string"),
        (_with("n", pa.array([1], pa.int32())), "n", "int32"),
        (_with("n", pa.array([1], pa.uint64())), "n", "uint64"),
        (_with("x", pa.array([1], pa.int64())), "x", "int64"),
        (_with("x", pa.nulls(1)), "x", "null (all null: give the column a type)"),
        (_with("id", pa.array([None], pa.string())), "id", "1 nulls"),
        (_with("at", pa.array([NOW.replace(tzinfo=None)], pa.timestamp("us"))), "at", "timestamp[us] (no time zone)"),
        (_with("at", pa.array([NOW], pa.timestamp("ns", "UTC"))), "at", "timestamp[ns, tz=UTC]"),
        (_with("at", pa.array([NOW], pa.timestamp("us", "Europe/Paris"))), "at", "timestamp[us, tz=Europe/Paris]"),
    ],
)
def test_conform__a_frame_of_another_shape__is_refused_with_column_and_types(
    frame: pa.Table, column: str, got: str
) -> None:
    with pytest.raises(NexusError) as caught:
        guard.conform(TABLE, frame)
    assert caught.value.field == f"core_test__things.{column}"
    assert caught.value.evidence["got"] == got
    assert caught.value.evidence["expected"]
    assert caught.value.category is Category.INVALID


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["a"], pa.large_string()),
        pa.array(["a"], pa.string_view()),
        pa.array(["a"]).dictionary_encode(),
        pa.array(["a"], pa.dictionary(pa.int8(), pa.large_string())),
    ],
)
def test_conform__text_in_another_encoding__is_normalised(ids: pa.Array) -> None:
    assert guard.conform(TABLE, _with("id", ids)).schema == TABLE.schema


def test_conform__columns_in_another_order__are_put_in_order() -> None:
    assert guard.conform(TABLE, GOOD.select(["at", "x", "n", "id"])).equals(guard.conform(TABLE, GOOD))


def test_conform__two_faults__names_both() -> None:
    with pytest.raises(NexusError) as caught:
        guard.conform(TABLE, GOOD.drop_columns(["n", "x"]))
    assert [fault["column"] for fault in caught.value.evidence["faults"]] == ["n", "x"]


def test_conform__nested_lists_of_polars__are_normalised() -> None:
    table = declared("core_nexus__titles")
    frame = pl.DataFrame(
        {
            "content_id": ["c" * 36],
            "title": ["t"],
            "content_type": ["movie"],
            "year": pl.Series([1999], dtype=pl.Int32),
            "genres": [["a", "b"]],
            "overview": pl.Series([None], dtype=pl.String),
            "external_ids": [[{"issuer": "imdb", "value": "tt1"}]],
            "source": ["nexus"],
            "updated_at": [NOW],
        }
    )
    assert guard.conform(table, frame.to_arrow()).schema == table.schema


_BY_DAY = Table(
    name="core_test__days",
    description="a partitioned table for tests",
    schema=pa.schema([text("id", "key"), day_column("day", "partition")]),
    partition_by=("day",),
    primary_key=("id",),
)
_DAYS = pa.table({"id": ["a", "b"], "day": [date(2026, 1, 1), date(2026, 1, 2)]}, schema=_BY_DAY.schema)


@pytest.mark.parametrize(
    ("partition", "field"),
    [
        (None, "partition"),
        ({}, "partition"),
        ({"month": "2026-01"}, "partition"),
        ({"day": "2026-01-01"}, "core_test__days.day"),
        ({"day": "2026-01-03"}, "core_test__days.day"),
    ],
)
def test_partition__rows_outside_or_no_partition__are_refused(partition: dict[str, str] | None, field: str) -> None:
    with pytest.raises(NexusError) as caught:
        guard.check_partition(_BY_DAY, _DAYS, partition)
    assert caught.value.field == field


def test_partition__rows_inside__pass() -> None:
    guard.check_partition(_BY_DAY, _DAYS.slice(0, 1), {"day": "2026-01-01"})


def test_unique__a_key_twice__is_refused_with_the_key() -> None:
    with pytest.raises(NexusError) as caught:
        guard.check_unique(TABLE, pa.concat_tables([GOOD, GOOD]))
    assert caught.value.category is Category.CONFLICT
    assert "'a'" in (caught.value.value or "")


@pytest.mark.parametrize("name", sorted(TABLES))
def test_catalogue__every_table__is_documented_and_in_a_known_layer(name: str) -> None:
    table = TABLES[name]
    assert table.layer in {"raw", "core", "marts", "features", "training", "quarantine", "reports"}
    assert table.description.endswith(".")
    assert [field.name for field in table.schema if not table.doc(field.name)] == []
    assert all(not pa.types.is_timestamp(field.type) or field.type.tz == "UTC" for field in table.schema)
    assert table.primary_key


def test_catalogue__an_unknown_table__is_not_found() -> None:
    with pytest.raises(NexusError) as caught:
        declared("core_test__nothing")
    assert caught.value.category is Category.NOT_FOUND


@given(st.integers(0, 2**42), st.integers(0, 2**20 - 1), st.integers(0, 2**42), st.integers(0, 2**20 - 1))
def test_position__of_stream_ids__keeps_their_order_and_comes_back(ms: int, seq: int, ms2: int, seq2: int) -> None:
    one, other = position_of(f"{ms}-{seq}"), position_of(f"{ms2}-{seq2}")
    assert (one < other) == ((ms, seq) < (ms2, seq2))
    assert stream_id_of(one) == f"{ms}-{seq}"
    assert one < 2**63
