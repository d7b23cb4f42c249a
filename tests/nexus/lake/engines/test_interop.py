"""Each engine reads and goes on with what the other wrote; a table looks the same whoever made it."""

from __future__ import annotations

import re
from datetime import date

import pytest
from deltalake import DeltaTable

from nexus.errors import NexusError
from nexus.lake import maintenance
from nexus.lake.catalogue import TABLES, declared
from tests.nexus.lake.engines.conftest import BOTH, Engine, MakeLake
from tests.nexus.lake.rows import EVENTS, VIEWERS, events, names, viewers

pytestmark = [pytest.mark.integration, pytest.mark.jvm]
DAYS = [date(2026, 1, 1), date(2026, 1, 2)]


@pytest.mark.parametrize("first", BOTH)
def test_table__made_by_one_engine__is_read_and_continued_by_the_other(first: Engine, open_lake: MakeLake) -> None:
    one, other = open_lake(first), open_lake("sail" if first == "jvm" else "jvm")
    for day in DAYS:
        one.write(EVENTS, events(day, f"a{day}", f"b{day}"), mode="append", key=(f"day:{day}", 1))
    assert other.content_hash(EVENTS) == one.content_hash(EVENTS)
    assert other.spark_table(EVENTS).count() == one.spark_table(EVENTS).count() == 4
    other.write(EVENTS, events(DAYS[0], "c"), mode="replace_partition", partition={"day": str(DAYS[0])})
    other.write(EVENTS, events(DAYS[1], f"a{DAYS[1]}", "d"), mode="merge")
    one.write(EVENTS, events(DAYS[1], "e"), mode="append")
    maintenance.checkpoint(one, EVENTS)
    maintenance.optimize(other, EVENTS)
    expected = sorted(["c", f"a{DAYS[1]}", f"b{DAYS[1]}", "d", "e"])
    for lake in (one, other):
        assert sorted(row["event_id"] for row in lake.spark_table(EVENTS).select("event_id").toArrow().to_pylist()) == (
            expected
        )
    with pytest.raises(NexusError) as caught:
        other.write(VIEWERS, viewers("x", interactions=0), mode="append")
    assert "interactions > 0" in (caught.value.remedy or "")


@pytest.mark.parametrize("name", ["core_nexus__events", "core_nexus__titles", "core_movielens__ratings"])
def test_table__made_by_either_engine__has_the_same_schema_properties_and_protocol(
    name: str, open_lake: MakeLake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from nexus.lake.jvm_commit import _open_or_create
    from nexus.lake.writer import Write

    sail = open_lake("sail", tmp_path_factory.mktemp("sail"))
    jvm = open_lake("jvm", tmp_path_factory.mktemp("jvm"))
    sail.write(name, declared(name).schema.empty_table(), mode="append")
    # A frame without rows is committed from here; this is the engine's own creation.
    _open_or_create(declared(name), jvm.uri(name), jvm.spark(), Write("append"))
    ours, theirs = DeltaTable(sail.uri(name)), DeltaTable(jvm.uri(name))
    assert _plain(ours.metadata().configuration) == _plain(theirs.metadata().configuration)
    assert ours.metadata().partition_columns == theirs.metadata().partition_columns
    assert ours.metadata().description == theirs.metadata().description
    assert ours.schema() == theirs.schema()
    protocols = [table.protocol() for table in (ours, theirs)]
    assert [(found.min_reader_version, found.writer_features) for found in protocols] == [(1, None)] * 2
    assert protocols[0].min_writer_version == protocols[1].min_writer_version


def _plain(configuration: dict[str, str]) -> dict[str, str]:
    """Each engine spells an expression with its own blanks, brackets and numbers."""
    return {name: re.sub(r"\s|[()]|[.]0\b", "", text) for name, text in configuration.items()}


def test_overwrite__by_the_jvm_of_every_version__is_readable_by_the_other(open_lake: MakeLake) -> None:
    jvm, sail = open_lake("jvm"), open_lake("sail")
    versions = [jvm.write(VIEWERS, viewers(f"v{n}"), mode="overwrite").version for n in range(3)]
    assert [names(sail, version) for version in versions] == [["v0"], ["v1"], ["v2"]]
    assert set(TABLES) >= {VIEWERS, EVENTS}
