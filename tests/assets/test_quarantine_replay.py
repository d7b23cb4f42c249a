"""Refused rows judged again: with corrections, by the commands, through core exactly once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import redis
from typer.testing import CliRunner

from assets.definitions import build_defs
from assets.resources import with_settings
from media.sources.movielens import MovieLens
from nexus import events
from nexus.cli.main import build_app
from nexus.errors import NexusError
from nexus.lake import quarantine
from nexus.lake.lake import Lake
from nexus.runtime.pipeline import Outcome
from nexus.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, redis_server: str) -> Settings:
    """Five ratings, of which three are refused, and a broken event."""
    tmp_path = tmp_path_factory.mktemp("judged")
    data = tmp_path / "data"
    data.mkdir()
    (data / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Comedy\n2,Heat (1995),Crime\n")
    lines = ["1,1,4.0,1000000000", "1,2,5.0,1000000100", "2,1,9.0,1010000000", "2,7,3.0,1010000000", "broken"]
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")
    settings = Settings(home=tmp_path / "home", redis={"url": redis_server.rpartition("/")[0] + "/11"})
    MovieLens(data).stage(settings.inbox)
    with redis.Redis.from_url(settings.redis.dsn()) as client:
        client.flushdb()
        client.xadd(events.STREAM, {"event": '{"event_id": "bad", "type": "dance"}'})
    run(settings, "raw", "core")
    return settings


@pytest.fixture
def platform(judged: Settings, tmp_path: Path) -> Settings:
    """A copy, for one test."""
    shutil.copytree(judged.home, tmp_path / "home")
    return judged.model_copy(update={"home": tmp_path / "home"})


def run(settings: Settings, *layers: str) -> None:
    job = build_defs(resource_overrides={"platform": with_settings(settings)}, settings=settings).resolve_job_def(
        "pipeline"
    )
    keys = [key for key in job.asset_layer.executable_asset_keys if key.to_user_string().partition("_")[0] in layers]
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), asset_selection=keys)
    assert result.success


@pytest.fixture
def command(platform: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The commands as a person types them; a run of Dagster happens in this process."""
    monkeypatch.setenv("NEXUS_HOME", str(platform.home))
    monkeypatch.setenv("NEXUS_REDIS__URL", platform.redis.dsn())
    monkeypatch.setenv("NEXUS_DAGSTER__URL", "http://127.0.0.1:1")

    def run_job(settings: Settings, _progress: object, job: str) -> Outcome:
        assert job == "core"
        run(settings, "core")
        return Outcome("in-process", "SUCCESS", 0.0)

    monkeypatch.setattr("nexus.cli.runs.run_job", run_job)

    def invoke(*words: str) -> Any:
        done = CliRunner().invoke(build_app(), ["quarantine", *words])
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout) if "--json" in words else done.stdout

    return invoke


def ratings(settings: Settings) -> list[tuple[str, float]]:
    rows = Lake.from_settings(settings).read("core_movielens__ratings").to_pylist()
    return sorted((row["event_id"], row["rating"]) for row in rows)


def test_list__refused_rows__are_counted_with_reason_and_samples(command: Any) -> None:
    found = command("list", "--json")
    assert found["rows"] == 4
    reasons = {(one["source"], one["field"]): one for one in found["groups"]}
    assert set(reasons) == {
        ("movielens.ratings", "rating"), ("movielens.ratings", "movieId"), ("movielens.ratings", "line"),
        ("nexus.events", "type"),
    }  # fmt: skip
    assert reasons["movielens.ratings", "rating"]["samples"][0]["raw_text"] == "2,1,9.0,1010000000"
    assert "movielens.ratings" in command("list", "--source", "movielens.ratings")
    with pytest.raises(NexusError, match="no such source"):
        command("list", "--source", "elsewhere", "--json")


def test_replay__nothing_mended__keeps_every_row_and_says_so(platform: Settings, command: Any) -> None:
    before = ratings(platform)
    done = command("replay", "--json")
    assert (done["considered"], done["passed"], done["kept"]) == (4, 0, 4)
    assert ratings(platform) == before


def test_replay__with_corrections__passes_rows_once_and_leaves_raw_alone(
    platform: Settings, command: Any, tmp_path: Path
) -> None:
    lake = Lake.from_settings(platform)
    raw = {name: lake.content_hash(name) for name in ("raw_movielens__ratings", "raw_nexus__events")}
    keys = {row["value"]: row["row_key"] for row in quarantine.refused(lake).to_dicts()}
    broken = next(row["row_key"] for row in quarantine.refused(lake).to_dicts() if row["field"] == "line")
    lines = [
        f"{keys['9.0']},rating,4.5",
        f"{broken},userId,3",
        f"{broken},movieId,2",
        f"{broken},rating,2.5",
        f"{broken},timestamp,1010000500",
        f"{keys['7']},rating,1",
    ]
    file = tmp_path / "corrections.csv"
    file.write_text("row_key,field,value\n" + "\n".join(lines) + "\n")
    done = command("replay", "--with", str(file), "--by", "ada", "--json")
    assert (done["considered"], done["passed"], done["kept"], done["corrections"]) == (4, 2, 2, 6)
    assert ratings(platform)[-2:] == [("movielens:2:1:1010000000", 4.5), ("movielens:3:2:1010000500", 2.5)]
    assert {name: lake.content_hash(name) for name in raw} == raw

    again = command("replay", "--with", str(file), "--by", "bob", "--json")
    assert (again["considered"], again["passed"], again["corrections"]) == (2, 0, 0)
    assert len(ratings(platform)) == 4
    replays = lake.read(quarantine.REPLAYS).to_pylist()
    assert sorted((row["requested_by"], row["passed"]) for row in replays) == [("ada", 2), ("bob", 0)]
    assert {row["corrected_by"] for row in lake.read(quarantine.CORRECTIONS).to_pylist()} == {"ada"}


def test_replay__corrected_event__reaches_its_day_once(platform: Settings, command: Any, tmp_path: Path) -> None:
    lake = Lake.from_settings(platform)
    key = quarantine.refused(lake, "nexus.events")["row_key"][0]
    body = {
        "event_id": "bad", "type": "like", "user_id": "0" * 8 + "-0000-5000-8000-" + "0" * 12,
        "content_id": "1" * 8 + "-0000-5000-8000-" + "1" * 12, "occurred_at": "2026-11-01T00:00:00Z",
        "received_at": "2026-11-01T00:00:01Z",
    }  # fmt: skip
    file = tmp_path / "corrections.csv"
    file.write_text(f'row_key,field,value\n{key},body,"{json.dumps(body).replace(chr(34), chr(34) * 2)}"\n')
    done = command("replay", "--source", "nexus.events", "--with", str(file), "--json")
    assert (done["considered"], done["passed"]) == (1, 1)
    command("replay", "--json")
    assert [row["event_id"] for row in lake.read("core_nexus__events").to_pylist()] == ["bad"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("row_key,field\na,b\n", "need the columns"),
        ("row_key,field,value\nnowhere:1,rating,4\n", "no such row in quarantine"),
        ("row_key,field,value\n{key},load_id,4\n", "load_id is none of"),
        ("", "need the columns"),
        (b"\xff\xfe", "no CSV in UTF-8"),
    ],
)
def test_corrections__wrong_file__is_refused_whole_and_nothing_is_recorded(
    platform: Settings, command: Any, tmp_path: Path, content: str | bytes, words: str
) -> None:
    lake = Lake.from_settings(platform)
    key = quarantine.refused(lake, "movielens.ratings")["row_key"][0]
    file = tmp_path / "corrections.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.format(key=key).encode())
    with pytest.raises(NexusError, match=words):
        command("replay", "--with", str(file))
    assert not lake.exists(quarantine.CORRECTIONS)


def test_show__a_row__has_its_line_and_its_corrections(platform: Settings, command: Any) -> None:
    lake = Lake.from_settings(platform)
    key = next(row["row_key"] for row in quarantine.refused(lake).to_dicts() if row["value"] == "9.0")
    quarantine.record_corrections(lake, "c1", [quarantine.Correction(key, "rating", "4", 2)], by="ada")
    found = command("show", key, "--json")
    assert found["raw_text"] == "2,1,9.0,1010000000"
    assert found["corrections"][0]["corrected_by"] == "ada"
    with pytest.raises(NexusError, match="no such row"):
        command("show", "nowhere")
