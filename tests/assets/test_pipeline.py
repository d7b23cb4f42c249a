"""Raw to marts in one process, on real engines: what a run makes, and that a second one changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import orjson
import pyarrow as pa
import pytest
import redis

from assets import checks
from assets.definitions import build_defs
from assets.jobs import CHAIN_ASSETS
from assets.resources import with_settings
from media.sources.base import staged_loads
from media.sources.dslabs import DslabsMovieLens
from media.sources.movielens import MovieLens
from nexus import events
from nexus.ids import Reference, internal
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.settings import Settings

LAYERS = ("raw", "core", "marts")


class Platform:
    """A home of its own, its Redis, and runs of the first three layers."""

    def __init__(self, home: Path, redis_url: str) -> None:
        # A Redis database of its own: it is flushed.
        self.settings = Settings(home=home, redis={"url": f"{urlsplit(redis_url)._replace(path='').geturl()}/7"})
        self.lake = Lake.from_settings(self.settings)
        self._defs = build_defs(resource_overrides={"platform": with_settings(self.settings)})

    def run(self, job: str = "pipeline", partition: str | None = None) -> dg.ExecuteInProcessResult:
        """Run what a job has of the first three layers."""
        made = self._defs.resolve_job_def(job)
        keys = [
            key for key in made.asset_layer.executable_asset_keys if key.to_user_string().partition("_")[0] in LAYERS
        ]
        result = made.execute_in_process(
            instance=dg.DagsterInstance.ephemeral(), asset_selection=keys, partition_key=partition
        )
        assert result.success
        return result

    def send(self, *raw: dict[str, Any]) -> None:
        """Accept events as the API does."""
        now = datetime.now(UTC)
        accepted = [events.parse(one, now=now)[0] for one in raw]
        with self.redis() as client:
            client.eval(events.ACCEPT_SCRIPT, 0, *events.accept_arguments(accepted))

    @contextmanager
    def redis(self) -> Iterator[Any]:
        with redis.Redis.from_url(self.settings.redis.dsn()) as client:
            yield client


@pytest.fixture
def platform(tmp_path: Path, redis_server: str) -> Platform:
    """A small data set is staged; the streams are empty."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Comedy\n2,Heat (1995),Crime\n")
    lines = ["1,1,4.0,1000000000", "1,2,5.0,1000000100", "2,1,3.0,1010000000", "2,1,9.0,1010000000", "broken"]
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")
    made = Platform(tmp_path / "home", redis_server)
    MovieLens(data).stage(made.settings.inbox)
    with made.redis() as client:
        client.flushdb()
    return made


def _metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    events_of = [event for event in result.get_asset_materialization_events() if event.partition is None]
    (found,) = [event for event in events_of if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in found.materialization.metadata.items()}


def _event(
    event_id: str, kind: str = "rate", user: str = "someone:new", content: str = "movielens:2", **more: Any
) -> dict[str, Any]:
    return {"event_id": event_id, "type": kind, "user": user, "content": content, **more}


@pytest.mark.integration
def test_pipeline__from_lines_and_events__makes_typed_tables_and_marts(platform: Platform) -> None:
    platform.send(_event("e1", value=4.5), _event("e2", "hide", content="movielens:1"), _event("e3", "view", value=0.5))
    with platform.redis() as client:
        record = {
            "content_id": str(internal("content", Reference("tmdb", "5"))), "title": "Fresh", "content_type": "movie",
            "year": 2026, "genres": ["Drama"], "overview": "New.", "external_ids": [{"issuer": "tmdb", "value": "5"}],
            "metadata": {},
        }  # fmt: skip
        client.xadd(events.CONTENT_STREAM, {"content": orjson.dumps(record)})
        client.xadd(events.CONTENT_STREAM, {"content": "{broken"})
        client.xadd(events.STREAM, {"event": '{"event_id": "bad", "type": "dance"}'})
    result = platform.run()
    lake = platform.lake

    assert _metadata(result, "core_movielens__ratings")["dagster/row_count"] == 3
    quarantined = lake.read("core_nexus__quarantine").to_pylist()
    assert sorted((row["source"], row["field"]) for row in quarantined) == [
        ("movielens.ratings", "line"),
        ("movielens.ratings", "rating"),
        ("nexus.events", "type"),
        ("nexus.titles", "content_id"),
    ]
    titles = {row["title"]: row for row in lake.read("core_nexus__titles").to_pylist()}
    assert set(titles) == {"Toy Story", "Heat", "Fresh"}
    assert (titles["Fresh"]["source"], titles["Fresh"]["overview"]) == ("nexus", "New.")
    core = {row["event_id"]: row["event_type"] for row in lake.read("core_nexus__events").to_pylist()}
    assert core == {"e1": "rate", "e2": "hide", "e3": "view"}
    history = lake.read("marts_nexus__interactions").to_pylist()
    assert len(history) == 5
    assert {row["event_id"] for row in history if row["source"] == "nexus"} == {"e1", "e3"}
    with platform.redis() as client:
        assert (client.xlen(events.STREAM), client.xlen(events.CONTENT_STREAM)) == (0, 0)


@pytest.mark.integration
def test_marts__of_a_known_history__count_what_is_there(platform: Platform) -> None:
    platform.run()
    lake = platform.lake
    toy_story = str(internal("content", Reference("movielens", "1")))
    stats = {row["content_id"]: row for row in lake.read("marts_nexus__title_stats").to_pylist()}
    found = stats[toy_story]
    assert (found["interactions"], found["viewers"], found["mean_value"]) == (2, 2, 3.5)
    # The data's own now is 1010000000 (2002-01-02); 90 days before it only the second rating lies.
    assert found["interactions_90d"] == 1
    assert found["as_of"] == datetime.fromtimestamp(1010000000, UTC)
    assert found["popularity_score"] == 1.0
    viewers = {row["user_id"]: row for row in lake.read("marts_nexus__viewer_stats").to_pylist()}
    first = viewers[str(internal("user", Reference("movielens", "1")))]
    assert (first["interactions"], first["mean_value"]) == (2, 4.5)
    daily = [row for row in lake.read("marts_nexus__popularity_daily").to_pylist() if row["content_id"] == toy_story]
    assert [row["cumulative_interactions"] for row in sorted(daily, key=lambda row: row["day"])] == [1, 2]


@pytest.mark.integration
def test_pipeline__run_again_without_news__writes_no_new_version(platform: Platform) -> None:
    platform.send(_event("e1", value=4))
    platform.run()
    tables = [name for name in declared_tables() if platform.lake.exists(name)]
    before = {name: platform.lake.version(name) for name in tables}
    platform.send(_event("e1", value=4))
    MovieLens(platform.settings.home.parent / "data").stage(platform.settings.inbox)
    result = platform.run()
    assert {name: platform.lake.version(name) for name in tables} == before
    assert _metadata(result, "marts_nexus__interactions")["rows_written"] == 0


def declared_tables() -> list[str]:
    """The tables that the pipeline makes; the chain's have a job of their own."""
    from nexus.lake.catalogue import TABLES

    return [name for name, table in TABLES.items() if table.layer in LAYERS and name not in CHAIN_ASSETS]


@pytest.mark.integration
def test_events__in_two_runs__are_each_there_once_and_their_day_is_recorded(platform: Platform) -> None:
    today = str(datetime.now(UTC).date())
    platform.send(_event("e1", value=4))
    first = platform.run("events")
    platform.send(_event("e2", value=3))
    # The same event id once more, as after its mark in Redis has expired.
    body = orjson.dumps({"event_id": "e1", "type": "rate"})
    with platform.redis() as client:
        client.xadd(events.STREAM, {"event": body})
        client.delete(events.event_key("e1"))
    platform.send(_event("e1", value=1))
    second = platform.run("events")
    rows = {row["event_id"]: row["value"] for row in platform.lake.read("core_nexus__events").to_pylist()}
    assert rows == {"e1": 4.0, "e2": 3.0}
    for result in (first, second):
        days = {event.partition for event in result.get_asset_materialization_events() if event.partition}
        assert today in days


@pytest.mark.integration
def test_events__a_partition_chosen_by_hand__is_rebuilt(platform: Platform) -> None:
    today = str(datetime.now(UTC).date())
    platform.send(_event("e1", value=4))
    platform.run("events")
    before = platform.lake.version("core_nexus__events") or 0
    platform.run("events", partition=today)
    assert platform.lake.version("core_nexus__events") == before + 1
    assert platform.lake.count("core_nexus__events") == 1


@pytest.mark.integration
def test_checks__a_table_whose_rows_break_the_declaration__say_which(tmp_path: Path) -> None:
    from deltalake import write_deltalake  # noqa: TID251 a table made behind the guard's back

    lake = Lake(str(tmp_path))
    table = declared("marts_nexus__viewer_stats")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    row = {"user_id": "u", "interactions": 0, "mean_value": None, "first_at": now, "last_at": now}
    loose = pa.schema([field.with_nullable(True) for field in table.schema])
    write_deltalake(lake.uri(table.name), pa.Table.from_pylist([row, row, row | {"first_at": None}], schema=loose))
    assert checks.row_faults(table, lake) == {
        "nulls": {"first_at": 1},
        "constraints": {"interactions_positive": 3},
        "duplicate_keys": ["{'user_id': 'u'}"],
    }


@pytest.mark.unit
def test_checks__another_schema__lists_missing_extra_and_types() -> None:
    table = declared("marts_nexus__viewer_stats")
    other = pa.schema([("user_id", pa.int64()), ("extra", pa.string()), *list(table.schema)[2:]])
    assert checks.schema_differences(table, other) == {
        "missing": ["interactions"],
        "extra": ["extra"],
        "types": {"user_id": {"expected": "string", "got": "int64"}},
    }


@pytest.mark.slow
def test_pipeline__on_the_default_data__keeps_99997_of_100004_ratings(tmp_path: Path, redis_server: str) -> None:
    platform = Platform(tmp_path, redis_server)
    DslabsMovieLens().stage(platform.settings.inbox)
    assert len(staged_loads(platform.settings.inbox)) == 1
    with platform.redis() as client:
        client.flushdb()
    platform.run()
    counts = {name: platform.lake.count(name) for name in declared_tables()}
    # Nothing was loaded with a mapping, no Jellyfin is set up, nobody asked for a recommendation.
    empty = {name for name in counts if name.startswith(("raw_table", "raw_jellyfin", "core_loaded"))}
    empty |= {name for name in counts if name == "raw_nexus__recommendations"}
    assert {name: counts.pop(name) for name in empty} == dict.fromkeys(empty, 0)
    assert counts == {
        "raw_movielens__ratings": 100_004,
        "raw_movielens__titles": 9_066,
        "raw_nexus__events": 0,
        "raw_nexus__titles": 0,
        "core_movielens__ratings": 99_997,
        "core_nexus__events": 0,
        "core_nexus__titles": 9_061,
        # Five titles have no name in the package's data; seven ratings are of them.
        "core_nexus__quarantine": 12,
        "marts_nexus__interactions": 99_997,
        "marts_nexus__title_stats": 9_061,
        "marts_nexus__viewer_stats": 671,
        "marts_nexus__popularity_daily": 97_987,
    }
