"""A person's own tables: the mapping's faults all at once, and what becomes of the rows, up to the marts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sources import times
from media.sources.append import append
from media.sources.base import INTERACTIONS, TABLE_TITLES, staged_loads
from media.sources.mapping import Mapping, combined, declared, read_toml
from media.sources.review import review
from media.sources.table import MappedTable
from nexus.errors import NexusError
from nexus.ids import Reference, internal
from nexus.lake.catalogue import TABLES
from nexus.lake.lake import Lake
from nexus.lake.transforms import loaded, marts, titles

CSV = """member;film;stars;at;what;name
anna;tt01;8;2026-01-31T20:15:00+01:00;Rated;Alien
bob;tt02;10;2026-02-01T20:15:00;rated;Brazil
bob;tt01;;2026-02-01 20:15:00Z;watched;Alien
bob;tt01;5;2026-02-01 20:16:00Z;watched;Alien
"""
BAD = {
    "bob;tt01;12;2026-02-01T20:16:00Z;rated;Alien": ("value", "is not 0 to 10"),
    "eve;tt01;3;yesterday;rated;Alien": ("at", "is not ISO 8601, as in 2026-01-31T20:15:00"),
    " ;tt01;3;2026-02-01T20:16:00Z;rated;Alien": ("viewer", "is not an id (1 to 128 visible characters)"),
    "e v;tt01;3;2026-02-01T20:16:00Z;rated;Alien": ("viewer", "is not an id (1 to 128 visible characters)"),
    "eve;tt01;3;2136-02-01T20:16:00Z;rated;Alien": ("time", "lies in the future"),
    "eve;tt01;3;1936-02-01T20:16:00Z;rated;Alien": ("time", "lies before 1970"),
    "eve;tt01;nan;2026-02-01T20:16:00Z;rated;Alien": ("value", "is not a number"),
    "eve;tt01;;2026-02-01T20:16:00Z;rated;Alien": ("value", "a rating needs a value"),
    "eve;tt01;3;2026-02-01T20:16:00Z;sung;Alien": ("type", "is not a known type of event"),
    "anna;tt01;8;2026-01-31T19:15:00Z;rated;Alien": ("time", "the same viewer, title, type and time occur twice"),
    "eve;tt01;3": ("line", "expected 6 fields, found 3"),
}
FACTS: dict[str, Any] = {
    "issuer": "club",
    "interactions": {
        "viewer": "member",
        "title": "film",
        "value": "stars",
        "scale": [0, 10],
        "time": "at",
        "time_format": "iso",
        "time_zone": "Europe/Berlin",
        "type": "what",
        "types": {"rated": "rate", "watched": "view"},
        "title_name": "name",
    },
}
Make = Callable[..., Mapping]


def with_facts(**more: Any) -> dict[str, Any]:
    return FACTS | {"interactions": FACTS["interactions"] | more}


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The table, good and bad lines."""
    path = tmp_path / "history.csv"
    path.write_text(CSV + "\n".join(BAD) + "\n")
    return path


@pytest.mark.integration
def test_load__good_and_bad_lines__reach_the_marts_or_the_quarantine(
    history: Path, tmp_path: Path, engine_lake: Lake
) -> None:
    lake = engine_lake
    staged = MappedTable(history, declared(FACTS)).stage(tmp_path / "inbox")
    counted = review(lake, staged)
    assert (counted["events"].accepted, counted["titles"].accepted) == (4, 2)
    for table in (INTERACTIONS, TABLE_TITLES):
        append(lake, staged, table)
        assert append(lake, staged, table).rows == 0
    named = loaded.from_loaded(loaded.judged_titles(lake.spark_table(TABLE_TITLES)))
    judged = loaded.judged(lake.spark_table(INTERACTIONS), named)
    refused = judged.where("refusal is not null").select("raw_text", "refusal.field", "refusal.reason").toArrow()
    assert {row["raw_text"]: (row["field"], row["reason"]) for row in refused.to_pylist()} == BAD

    accepted = loaded.accepted(judged)
    rows = {row["event_id"]: row for row in accepted.toArrow().to_pylist()}
    assert sorted((row["user_ref"], row["event_type"], row["value"] or 0) for row in rows.values()) == [
        ("club:anna", "rate", 4.1),
        ("club:bob", "rate", 5.0),
        ("club:bob", "view", 0),
        ("club:bob", "view", 0.5),
    ]
    first = rows["club:anna:tt01:rate:1769886900000000"]
    assert first["user_id"] == str(internal("user", Reference("club", "anna")))
    assert first["content_id"] == str(internal("content", Reference("club", "tt01")))
    brazil = next(row for row in rows.values() if row["content_ref"] == "club:tt02")
    assert brazil["occurred_at"].isoformat() == "2026-02-01T19:15:00+00:00"

    for table in ("core_movielens__ratings", "core_nexus__events"):
        lake.write(table, TABLES[table].schema.empty_table(), mode="overwrite")
    ratings, events = (lake.spark_table(table) for table in ("core_movielens__ratings", "core_nexus__events"))
    history_rows = marts.interactions(ratings, accepted, events).toArrow().to_pylist()
    assert {row["source"] for row in history_rows} == {"club"}
    assert len(history_rows) == 4
    (alien, _) = sorted(titles.together(named).toArrow().to_pylist(), key=lambda row: row["title"])
    assert (alien["title"], alien["source"]) == ("Alien", "club")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("facts", "fields"),
    [
        ({}, ["issuer", "interactions"]),
        ({"issuer": "Club", "interactions": {"viewer": "a"}}, ["issuer", "interactions.title", "interactions.time"]),
        (with_facts(time_format="unix", time_zone="Mars"), ["interactions.time_format", "interactions.time_zone"]),
        (with_facts(scale=[5, 1], user="x"), ["interactions.scale", "interactions.user"]),
        (with_facts(types={"sung": "sing"}), ["interactions.types.sung"]),
        (FACTS | {"issuer": "nexus"}, ["issuer"]),
        (FACTS | {"titles": {"path": "x.csv"}}, ["titles.id", "titles.title"]),
    ],
)
def test_declared__a_wrong_mapping__names_every_fault_at_once(facts: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(NexusError) as caught:
        declared(facts)
    assert [fault["field"] for fault in caught.value.evidence["faults"]] == fields
    assert all(field in caught.value.message for field in fields)
    assert caught.value.remedy


@pytest.mark.unit
@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"type": None, "types": {"a": "rate"}}, "name the column in type"),
        ({"value": None}, "name the column in value"),
        ({"default_type": "view"}, "leave one out"),
        ({"type": None, "types": {}, "value": None, "scale": None, "default_type": "rate"}, "ratings need a value"),
    ],
)
def test_declared__fields_that_contradict_each_other__are_refused(more: dict[str, Any], word: str) -> None:
    with pytest.raises(NexusError, match=word):
        declared(with_facts(**more))


@pytest.mark.unit
def test_stage__columns_that_are_not_there__are_named_at_once_with_those_that_are(
    history: Path, tmp_path: Path
) -> None:
    titles_path = tmp_path / "titles.csv"
    titles_path.write_text("id,name,name\n1,a,b\n")
    facts = with_facts(viewer="who", time="when") | {"titles": {"path": str(titles_path), "id": "key", "title": "name"}}
    with pytest.raises(NexusError) as caught:
        MappedTable(history, declared(facts)).stage(tmp_path / "inbox")
    faults = {fault["field"]: fault["reason"] for fault in caught.value.evidence["faults"]}
    assert faults == {
        "interactions.viewer": "there is no such column in history.csv",
        "interactions.time": "there is no such column in history.csv",
        "titles.id": "there is no such column in titles.csv",
        "titles.title": "the column is there twice in titles.csv",
    }
    assert "member, film, stars, at, what, name" in (caught.value.remedy or "")
    assert staged_loads(tmp_path / "inbox") == []


@pytest.mark.unit
def test_stage__several_tables_in_a_folder__asks_which(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(CSV)
    with pytest.raises(NexusError, match=r"several files that may be the table: a\.csv, b\.csv") as caught:
        MappedTable(tmp_path, declared(FACTS)).stage(tmp_path / "inbox")
    assert caught.value.field == "interactions.file"


@pytest.mark.unit
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_stage__any_usual_delimiter__is_found(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"u{separator}i{separator}t\n1{separator}2{separator}3\n")
    mapping = declared({"issuer": "x", "interactions": {"viewer": "u", "title": "i", "time": "t"}})
    (row,) = pq.read_table(MappedTable(path, mapping).stage(tmp_path / "inbox").ratings_path).to_pylist()
    assert (row["user_ref"], row["content_ref"], row["interaction_type"], row["occurred_at"]) == (
        "1",
        "2",
        "view",
        "3000000",
    )


@pytest.mark.unit
def test_stage__another_mapping_of_the_same_file__is_another_load(history: Path, tmp_path: Path) -> None:
    first = MappedTable(history, declared(FACTS)).stage(tmp_path / "inbox")
    again = MappedTable(history, declared(FACTS)).stage(tmp_path / "inbox")
    other = MappedTable(history, declared(with_facts(scale=[0, 20]))).stage(tmp_path / "inbox")
    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)


@pytest.mark.unit
def test_read_toml__what_is_no_toml__is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    with pytest.raises(NexusError, match="no such mapping file"):
        read_toml(path)
    path.write_text("issuer = ")
    with pytest.raises(NexusError, match="not TOML"):
        read_toml(path)


@pytest.mark.unit
def test_combined__what_is_given_by_hand__wins_and_paths_start_beside_the_file(tmp_path: Path) -> None:
    facts = {"issuer": "a", "interactions": {"viewer": "u"}, "titles": {"path": "t.csv"}}
    given_by_hand = {
        "": {"issuer": "b"},
        "interactions": {"viewer": None, "scale": "0..10", "types": "seen=view, r=rate"},
        "titles": {"id": None},
    }
    assert combined(facts, given_by_hand, tmp_path) == {
        "issuer": "b",
        "interactions": {"viewer": "u", "scale": ("0", "10"), "types": {"seen": "view", "r": "rate"}},
        "titles": {"path": str(tmp_path / "t.csv")},
    }


@pytest.mark.unit
@given(st.datetimes(), st.sampled_from(["epoch_s", "epoch_ms"]))
def test_micros__whole_numbers__come_back(moment: Any, unit: str) -> None:
    from datetime import UTC, datetime

    seconds = int((moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    text = str(seconds * (1000 if unit == "epoch_ms" else 1))
    found, _ = times.micros(pa.chunked_array([[text, f" {text} ", "x", None, "1e3", "inf", "9" * 30]]), unit, None)
    assert found.to_pylist() == [seconds * 1_000_000, seconds * 1_000_000, None, None, None, None, None]


@pytest.mark.unit
@given(st.datetimes(timezones=st.timezones()))
def test_micros__iso_with_an_offset__comes_back(moment: Any) -> None:
    from datetime import UTC, datetime, timedelta

    try:
        wanted = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        text = moment.isoformat()
        datetime.fromisoformat(text)
    except (OverflowError, ValueError):
        return
    found, _ = times.micros(pa.chunked_array([[text, moment.replace(tzinfo=None).isoformat(), ""]]), "iso", None)
    assert found.to_pylist() == [wanted, None, None]
