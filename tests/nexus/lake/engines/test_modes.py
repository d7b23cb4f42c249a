"""What each mode of writing does, on both engines: rows, versions, time travel, constraints, times and nulls."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from nexus.errors import Category, NexusError
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from tests.nexus.lake.rows import EVENTS, NOW, VIEWERS, events, names, viewers

pytestmark = pytest.mark.integration
TITLES = "core_nexus__titles"
UUID = "00000000-0000-0000-0000-{:012d}"


def test_append_and_overwrite__each_version__stays_readable(lake: Lake) -> None:
    first = lake.write(VIEWERS, viewers("a"), mode="append")
    second = lake.write(VIEWERS, viewers("b"), mode="append")
    third = lake.write(VIEWERS, viewers("c", "d"), mode="overwrite", facts={"inputs": "x@3"})
    assert [result.rows for result in (first, second, third)] == [1, 1, 2]
    assert [names(lake, result.version) for result in (first, second, third)] == [["a"], ["a", "b"], ["c", "d"]]
    assert third.version == lake.version(VIEWERS)
    assert lake.history(VIEWERS, 1)[0]["inputs"] == "x@3"
    assert lake.spark_table(VIEWERS, second.version).count() == 2


def test_replace_partition__one_day__leaves_the_others(lake: Lake) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(2)]
    lake.write(EVENTS, pa.concat_tables(events(day, f"{day}") for day in days), mode="append")
    computed = lake.spark().createDataFrame(events(days[0], "x", "y"))
    assert lake.write(EVENTS, computed, mode="replace_partition", partition={"day": str(days[0])}).rows == 2
    assert sorted(lake.read(EVENTS).column("event_id").to_pylist()) == ["2026-01-02", "x", "y"]
    emptied = lake.write(EVENTS, events(days[0]), mode="replace_partition", partition={"day": str(days[0])})
    assert emptied.rows == 0
    assert lake.read(EVENTS).column("event_id").to_pylist() == ["2026-01-02"]


def test_merge__known_and_new_rows__updates_and_inserts(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a", "b"), mode="append")
    merged = lake.write(VIEWERS, viewers("b", "c", interactions=7), mode="merge", facts={"why": "news"})
    rows = {row["user_id"]: row["interactions"] for row in lake.read(VIEWERS).to_pylist()}
    assert rows == {"a": 1, "b": 7, "c": 7}
    assert lake.history(VIEWERS, 1)[0]["why"] == "news"
    assert merged.version == lake.version(VIEWERS)


def test_overwrite__the_stored_table_has_other_columns__takes_the_declared_ones(lake: Lake) -> None:
    import deltalake

    old = pa.schema([pa.field("user_id", pa.string(), nullable=False), pa.field("views", pa.int32())])
    deltalake.DeltaTable.create(lake.uri(VIEWERS), schema=old)
    with pytest.raises(NexusError) as caught:
        lake.write(VIEWERS, viewers("a"), mode="append")
    assert (caught.value.category, caught.value.field) == (Category.CONFLICT, f"{VIEWERS}.first_at")
    lake.write(VIEWERS, viewers("a"), mode="overwrite")
    assert lake.read(VIEWERS).schema.names == declared(VIEWERS).schema.names
    assert lake.write(VIEWERS, viewers("b"), mode="append").rows == 1
    stored = pa.schema(deltalake.DeltaTable(lake.uri(VIEWERS)).schema().to_arrow())
    assert [field.nullable for field in stored] == [field.nullable for field in declared(VIEWERS).schema]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_write__a_row_that_breaks_a_constraint__is_refused_and_nothing_changes(lake: Lake, mode: str) -> None:
    before = lake.write(VIEWERS, viewers("a"), mode="append").version
    with pytest.raises(NexusError) as caught:
        lake.write(VIEWERS, viewers("b", interactions=0), mode=mode)  # type: ignore[arg-type]
    assert (caught.value.category, caught.value.field) == (Category.INVALID, VIEWERS)
    assert "interactions > 0" in (caught.value.remedy or "")
    assert "0" in (caught.value.value or "")
    assert lake.version(VIEWERS) == before


def test_times__of_any_zone_and_age__are_stored_to_the_microsecond_in_utc(lake: Lake) -> None:
    moments = {
        "2026-03-29 01:59:59.999999+01:00": datetime(2026, 3, 29, 0, 59, 59, 999999, tzinfo=UTC),
        "2026-03-29 03:00:00+02:00": datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        "1969-12-31 23:59:59.999999Z": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "2026-01-02 03:04:05.678901": NOW,  # no zone: UTC, whatever the machine's clock says
    }
    literals = ", ".join(f"('v{number}', timestamp'{text}')" for number, text in enumerate(moments))
    columns = "n AS user_id, 1L AS interactions, CAST(NULL AS DOUBLE) AS mean_value, at AS first_at, at AS last_at"
    frame = lake.spark().sql(f"SELECT {columns} FROM VALUES {literals} AS t(n, at)")  # noqa: S608 our own text
    lake.write(VIEWERS, frame, mode="overwrite")
    rows = sorted(lake.read(VIEWERS).to_pylist(), key=lambda row: row["user_id"])
    assert [row["first_at"] for row in rows] == list(moments.values())
    assert [row["last_at"] for row in rows] == list(moments.values())


def test_nulls__in_columns_lists_and_structs__come_back_as_they_went(lake: Lake) -> None:
    rows = [
        {"content_id": UUID.format(1), "title": "", "content_type": "movie", "year": None, "genres": [],
         "overview": None, "external_ids": [], "source": "nexus", "updated_at": NOW},
        {"content_id": UUID.format(2), "title": "é\u2028'\"\\", "content_type": "movie", "year": 1999,
         "genres": ["a", None, ""], "overview": "", "external_ids": [{"issuer": "imdb", "value": None}, None],
         "source": "nexus", "updated_at": NOW},
    ]  # fmt: skip
    given = pa.Table.from_pylist(rows, schema=declared(TITLES).schema)
    lake.write(TITLES, given, mode="append")
    computed = lake.spark_table(TITLES)
    lake.write(TITLES, computed, mode="merge")
    assert sorted(lake.read(TITLES).to_pylist(), key=lambda row: row["content_id"]) == rows
