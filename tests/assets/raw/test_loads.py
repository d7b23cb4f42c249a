"""Loaded tables and a Jellyfin reach the marts in one run, and a second run adds nothing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
import redis

from assets.definitions import build_defs
from assets.resources import with_settings
from media.sources.mapping import declared
from media.sources.movielens import MovieLens
from media.sources.table import MappedTable
from nexus.lake.lake import Lake
from nexus.settings import Settings
from tests.media.sources.jellyfin.server import KEY, FakeJellyfin, movie, serving
from tests.media.sources.test_layouts import folder_of

LAYERS = ("raw", "core", "marts")


def run(settings: Settings) -> dg.ExecuteInProcessResult:
    made = build_defs(resource_overrides={"platform": with_settings(settings)}).resolve_job_def("pipeline")
    keys = [key for key in made.asset_layer.executable_asset_keys if key.to_user_string().partition("_")[0] in LAYERS]
    return made.execute_in_process(instance=dg.DagsterInstance.ephemeral(), asset_selection=keys)


@pytest.mark.integration
def test_pipeline__movielens_100k_a_table_and_jellyfin__are_all_in_the_marts(tmp_path: Path, redis_server: str) -> None:
    with serving(FakeJellyfin(movies=[movie(number) for number in range(1, 6)])) as server:
        anna = server.add_viewer(101)
        server.plays(anna, 1, "2024-03-01T20:00:00.0000000Z", IsFavorite=True)
        server.plays(
            anna, 2, "2024-03-02T20:00:00.0000000Z", Played=False, PlaybackPositionTicks=9, PlayedPercentage=250.0
        )
        settings = Settings(
            home=tmp_path / "home",
            redis={"url": f"{urlsplit(redis_server)._replace(path='').geturl()}/8"},
            jellyfin={"url": server.url, "api_key": KEY},
        )
        with redis.Redis.from_url(settings.redis.dsn()) as client:
            client.flushdb()
        MovieLens(folder_of("ml-100k", tmp_path)).stage(settings.inbox)
        table = tmp_path / "t.csv"
        table.write_text("u,i,v,t\n1,x,5,1000000000\n1,x,9,1000000000\n")
        columns = {"viewer": "u", "title": "i", "value": "v", "time": "t"}
        MappedTable(table, declared({"issuer": "club", "interactions": columns})).stage(settings.inbox)
        assert run(settings).success
        lake = Lake.from_settings(settings)
        history = lake.read("marts_nexus__interactions").to_pylist()
        assert sorted((row["source"], row["interaction_type"], row["value"]) for row in history if row["value"]) == [
            ("club", "rate", 5.0),
            ("jellyfin", "view", 1.0),
            ("movielens-100k", "rate", 3.0),
            ("movielens-100k", "rate", 4.0),
        ]
        assert [row["source"] for row in history if row["interaction_type"] == "like"] == ["jellyfin"]
        refused = lake.read("core_nexus__quarantine").to_pylist()
        assert sorted((row["source"], row["field"], row["reason"]) for row in refused) == [
            ("jellyfin.interactions", "value", "is not 0 to 100"),
            ("table.interactions", "value", "is not 0.5 to 5"),
        ]
        titles = {row["title"]: row for row in lake.read("core_nexus__titles").to_pylist()}
        assert {"Amélie", "unknown", "x", "Movie 1", "Movie 5"} <= set(titles)
        assert {"issuer": "imdb", "value": "tt0000001"} in titles["Movie 1"]["external_ids"]
        before = {name: lake.version(name) for name in ("raw_jellyfin__interactions", "marts_nexus__interactions")}
        assert run(settings).success
        assert {name: lake.version(name) for name in before} == before
        assert server.errors == []
