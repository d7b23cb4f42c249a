"""Writing real Delta tables: keys, conflicts, constraints, versions."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake
from tests.nexus.lake.rows import EVENTS, VIEWERS, at_once, events, names, viewers

pytestmark = pytest.mark.integration


def test_append__the_same_key_by_four_writers_at_once__is_written_once(lake: Lake) -> None:
    results = at_once(4, lambda _: lake.write(VIEWERS, viewers("a"), mode="append", key=("load", 1)))
    assert sorted(result.is_skipped for result in results) == [False, True, True, True]
    assert names(lake) == ["a"]
    assert lake.last_key(VIEWERS, "load") == 1


def test_append__different_rows_by_four_writers_at_once__are_all_there(lake: Lake) -> None:
    at_once(4, lambda number: lake.write(VIEWERS, viewers(f"v{number}"), mode="append", key=(f"load{number}", 1)))
    assert names(lake) == ["v0", "v1", "v2", "v3"]


def test_merge__four_writers_at_once__ends_with_one_row_per_key(lake: Lake) -> None:
    at_once(4, lambda number: lake.write(VIEWERS, viewers("a", f"b{number}"), mode="merge"))
    assert names(lake) == ["a", "b0", "b1", "b2", "b3"]


@pytest.mark.parametrize(("version", "is_skipped"), [(2, True), (3, True), (4, False)])
def test_key__older_or_equal_version__is_skipped(lake: Lake, version: int, is_skipped: bool) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append", key=("load", 3))
    result = lake.write(VIEWERS, viewers("b"), mode="append", key=("load", version))
    assert result.is_skipped is is_skipped
    assert result.rows == (0 if is_skipped else 1)


def test_follows__another_writer_was_faster__is_a_conflict(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append", key=("drain", 5), follows=0)
    with pytest.raises(NexusError) as caught:
        lake.write(VIEWERS, viewers("b"), mode="append", key=("drain", 9), follows=3)
    assert caught.value.category is Category.CONFLICT
    assert names(lake) == ["a"]


def test_overwrite__time_travel__reads_every_version(lake: Lake) -> None:
    first = lake.write(VIEWERS, viewers("a"), mode="append").version
    second = lake.write(VIEWERS, viewers("b", "c"), mode="overwrite").version
    assert (names(lake, first), names(lake, second), lake.version(VIEWERS)) == (["a"], ["b", "c"], second)
    assert lake.scan(VIEWERS, first).collect()["user_id"].to_list() == ["a"]
    assert lake.count(VIEWERS) == 2


def test_read__an_unknown_version__names_the_versions_there_are(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append")
    with pytest.raises(NexusError) as caught:
        lake.read(VIEWERS, version=99)
    assert caught.value.category is Category.NOT_FOUND
    assert caught.value.remedy == f"ask for 0 to {lake.version(VIEWERS)}"


def test_read__a_table_never_written__is_not_found(lake: Lake) -> None:
    assert not lake.exists(VIEWERS)
    assert lake.version(VIEWERS) is None
    with pytest.raises(NexusError, match="not been written"):
        lake.read(VIEWERS)


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_write__a_row_that_breaks_a_constraint__is_refused_and_nothing_changes(lake: Lake, mode: str) -> None:
    before = lake.write(VIEWERS, viewers("a"), mode="append").version
    with pytest.raises(NexusError) as caught:
        lake.write(VIEWERS, viewers("b", interactions=0), mode=mode)  # type: ignore[arg-type]
    assert "interactions_positive" in (caught.value.remedy or "")
    assert lake.version(VIEWERS) == before


def test_write__a_key_twice_in_one_frame__is_refused(lake: Lake) -> None:
    with pytest.raises(NexusError, match="more than once"):
        lake.write(VIEWERS, viewers("a", "a"), mode="append")


def test_merge__known_and_new_rows__updates_and_inserts(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a", "b"), mode="append")
    lake.write(VIEWERS, viewers("b", "c", interactions=7), mode="merge")
    rows = {row["user_id"]: row["interactions"] for row in lake.read(VIEWERS).to_pylist()}
    assert rows == {"a": 1, "b": 7, "c": 7}


def test_replace_partition__one_day__leaves_the_others(lake: Lake) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(2)]
    for day in days:
        lake.write(EVENTS, events(day, f"{day}"), mode="append")
    lake.write(EVENTS, events(days[0], "x", "y"), mode="replace_partition", partition={"day": str(days[0])})
    assert sorted(lake.read(EVENTS).column("event_id").to_pylist()) == ["2026-01-02", "x", "y"]


def test_replace_partition__rows_of_another_day__are_refused(lake: Lake) -> None:
    with pytest.raises(NexusError) as caught:
        lake.write(EVENTS, events(date(2026, 1, 2), "x"), mode="replace_partition", partition={"day": "2026-01-01"})
    assert caught.value.field == f"{EVENTS}.day"
    assert not lake.exists(EVENTS)


def test_facts__of_a_write__are_found_in_the_history(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a"), mode="overwrite", facts={"inputs": "x@3"})
    assert lake.history(VIEWERS, 1)[0]["inputs"] == "x@3"


def test_write__a_spark_frame__is_taken_and_guarded(engine_lake: Lake) -> None:
    frame = engine_lake.spark().createDataFrame(viewers("a", "b"))
    assert engine_lake.write(VIEWERS, frame, mode="overwrite").rows == 2
    assert engine_lake.spark_table(VIEWERS).count() == 2
    with pytest.raises(NexusError) as caught:
        engine_lake.write(VIEWERS, frame.drop("interactions"), mode="overwrite")
    assert caught.value.field == f"{VIEWERS}.interactions"


def test_write__the_folder_is_a_file__is_one_clear_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("x") / "file"
    path.write_text("")
    with pytest.raises(NexusError) as caught:
        Lake(str(path)).write(VIEWERS, viewers("a"), mode="append")
    assert caught.value.field == "lake.url"
