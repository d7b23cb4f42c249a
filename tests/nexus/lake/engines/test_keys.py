"""Each key once, whoever writes at the same time, and whichever engine saw it first."""

from __future__ import annotations

import pytest

from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake
from tests.nexus.lake.engines.conftest import BOTH, Engine, MakeLake
from tests.nexus.lake.rows import VIEWERS, at_once, names, viewers

pytestmark = pytest.mark.integration


def test_append__the_same_key_by_four_writers_at_once__is_written_once(engine: Engine, open_lake: MakeLake) -> None:
    lakes = [open_lake(engine) for _ in range(4)]
    results = at_once(4, lambda n: lakes[n].write(VIEWERS, viewers("a"), mode="append", key=("load", 1)))
    assert sorted(result.is_skipped for result in results) == [False, True, True, True]
    assert sum(result.rows for result in results) == 1
    assert names(lakes[0]) == ["a"]
    assert lakes[0].last_key(VIEWERS, "load") == 1


@pytest.mark.parametrize("mode", ["merge", "overwrite"])
def test_key__an_older_or_equal_version__is_skipped(lake: Lake, mode: str) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append", key=("load", 3))
    seen = [lake.write(VIEWERS, viewers("b"), mode=mode, key=("load", n)).is_skipped for n in (2, 3, 4)]  # type: ignore[arg-type]
    assert seen == [True, True, False]
    assert names(lake) == (["a", "b"] if mode == "merge" else ["b"])
    assert lake.last_key(VIEWERS, "load") == 4


def test_key__of_a_frame_without_rows__is_recorded_with_its_facts(lake: Lake) -> None:
    empty = viewers().schema.empty_table()
    assert lake.write(VIEWERS, empty, mode="append", key=("load", 1), facts={"why": "nothing new"}).rows == 0
    assert lake.write(VIEWERS, viewers("a"), mode="append", key=("load", 1)).is_skipped
    assert lake.history(VIEWERS, 1)[0]["why"] == "nothing new"


def test_follows__another_writer_was_faster__is_a_conflict(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append", key=("drain", 5), follows=0)
    with pytest.raises(NexusError) as caught:
        lake.write(VIEWERS, viewers("b"), mode="append", key=("drain", 9), follows=3)
    assert caught.value.category is Category.CONFLICT
    assert lake.write(VIEWERS, viewers("b"), mode="append", key=("drain", 9), follows=5).rows == 1
    assert names(lake) == ["a", "b"]


def test_merge__three_writers_at_once__loses_nobodys_rows(engine: Engine, open_lake: MakeLake) -> None:
    lakes = [open_lake(engine) for _ in range(3)]
    lakes[0].write(VIEWERS, viewers("a"), mode="append")
    results = at_once(3, lambda n: lakes[n].write(VIEWERS, viewers("a", f"b{n}"), mode="merge"))
    assert len({result.version for result in results}) == 3
    assert names(lakes[0]) == ["a", "b0", "b1", "b2"]


def test_append__different_rows_by_four_writers_at_once__are_all_there(engine: Engine, open_lake: MakeLake) -> None:
    lakes = [open_lake(engine) for _ in range(4)]
    results = at_once(4, lambda n: lakes[n].write(VIEWERS, viewers(f"v{n}"), mode="append", key=(f"load{n}", 1)))
    assert names(lakes[0]) == ["v0", "v1", "v2", "v3"]
    by_version = {n: names(lakes[0], results[n].version) for n in range(4)}
    assert all(f"v{n}" in found for n, found in by_version.items())


@pytest.mark.jvm
@pytest.mark.parametrize("first", BOTH)
def test_key__recorded_by_the_other_engine__is_respected(first: Engine, open_lake: MakeLake) -> None:
    one, other = open_lake(first), open_lake("sail" if first == "jvm" else "jvm")
    one.write(VIEWERS, viewers("a"), mode="append", key=("load", 3))
    assert other.last_key(VIEWERS, "load") == 3
    assert other.write(VIEWERS, viewers("b"), mode="append", key=("load", 3)).is_skipped
    assert other.write(VIEWERS, viewers("b"), mode="merge", key=("load", 4)).rows == 1
    assert one.write(VIEWERS, viewers("c"), mode="append", key=("load", 4)).is_skipped
    assert names(one) == names(other) == ["a", "b"]


@pytest.mark.jvm
def test_key__both_engines_at_once__is_written_once(open_lake: MakeLake) -> None:
    lakes = [open_lake("sail"), open_lake("jvm")] * 2
    results = at_once(4, lambda n: lakes[n].write(VIEWERS, viewers("a"), mode="append", key=("load", 1)))
    assert sorted(result.is_skipped for result in results) == [False, True, True, True]
    assert names(lakes[0]) == ["a"]
