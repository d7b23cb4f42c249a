"""The whole platform as a person meets it: ``bin/nexus up`` on a fresh home, the contract, kills, and ``down``.

One platform serves all tests of this file, in the order in which they stand. About five minutes on two cores.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import pytest

from nexus.settings import ROOT

pytestmark = [pytest.mark.slow]

PARTS = (
    "postgres", "redis", "temporal", "mlflow", "dagster-code", "dagster-webserver", "dagster-daemon", "worker", "api",
)  # fmt: skip
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Platform:
    """A home and what its first ``up`` said."""

    home: Path
    said: str

    def nexus(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "bin/nexus", *words],
            cwd=ROOT,
            env=os.environ | {"NEXUS_HOME": str(self.home), "NEXUS_TRAINING__MAX_SECONDS": "10"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def status(self) -> dict[str, dict[str, Any]]:
        done = self.nexus("status", "--json")
        return {part["name"]: part for part in json.loads(done.stdout)["parts"]}

    def api(self) -> httpx.Client:
        return httpx.Client(base_url=self.status()["api"]["url"], timeout=20, trust_env=False)

    def marked(self) -> list[psutil.Process]:
        """Every process that carries this home's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("NEXUS_HOME") == str(self.home) and process.pid != os.getpid():
                    found.append(process)
            except psutil.Error:
                continue
        return found


def until(holds: Callable[[], bool]) -> bool:
    """Ask until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if holds():
            return True
    return False


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("platform")
    empty = Platform(home, "")
    done = empty.nexus("up")
    try:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        yield Platform(home, done.stdout)
    finally:
        empty.nexus("down")


def test_up__fresh_home__names_addresses_reasons_and_next_commands(platform: Platform) -> None:
    for word in ("web page", "API docs", "Dagster", "Temporal", "MLflow", "Because you watched", "bin/nexus recommend"):
        assert word in platform.said
    assert "Traceback" not in platform.said


def test_status__after_up__every_part_runs_and_has_an_address(platform: Platform) -> None:
    parts = platform.status()
    assert set(PARTS) <= set(parts)
    for name in PARTS:
        assert parts[name]["state"] == "running", parts[name]
        assert psutil.pid_exists(parts[name]["pid"])
        assert parts[name]["rss_bytes"] > 1_000_000
    assert all(parts[name]["url"] for name in PARTS if name not in ("worker", "dagster-daemon"))


def test_second_up__everything_there__starts_no_run(platform: Platform) -> None:
    before = platform.nexus("models", "list", "--json").stdout
    again = platform.nexus("up")
    assert again.returncode == 0
    assert "model_recommender__candidate" not in again.stdout
    assert platform.nexus("models", "list", "--json").stdout == before


def test_models_list__first_champion__beats_every_floor(platform: Platform) -> None:
    (model,) = json.loads(platform.nexus("models", "list", "--json").stdout)["models"]
    assert {"version", "aliases", "metrics", "data_hash", "created_at"} <= set(model)
    assert model["aliases"] == ["champion"]
    with platform.api() as api:
        shown = api.get("/v1/models").json()["models"][0]
    assert {"popularity", "ease", "transitions"} <= set(shown["floors"])
    for floor in shown["floors"].values():
        assert model["metrics"]["ndcg_10"] > floor["ndcg_10"]


def test_recommendations__known_viewer__unseen_with_exact_reasons(platform: Platform) -> None:
    with platform.api() as api:
        seen = {i["content_id"] for i in api.get("/v1/users/movielens:1/history?limit=1000").json()["items"]}
        answer = api.get("/v1/users/movielens:1/recommendations?limit=100&explain=true").json()
    assert answer["source"] == "champion"
    assert len(answer["items"]) == 100
    assert not seen & {item["content_id"] for item in answer["items"]}
    for item in answer["items"]:
        assert item["reason"]["text"]
        assert {one["content_id"] for one in item["reason"]["because"]} <= seen


def test_recommend__unknown_viewer__one_clear_error(platform: Platform) -> None:
    done = platform.nexus("recommend", "movielens:nobody")
    assert done.returncode != 0
    assert "no such viewer" in done.stderr
    assert "remedy" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_rollback__nothing_before_the_first__is_refused_in_words(platform: Platform) -> None:
    done = platform.nexus("models", "rollback")
    assert done.returncode != 0
    assert "no previous champion" in done.stderr
    assert "Traceback" not in done.stderr


def test_content__new_title__is_ingested_searched_and_offered(platform: Platform) -> None:
    with platform.api() as api:
        sent = {"external_id": "test:one", "title": "Toys in Space", "content_type": "movie", "year": 2026}
        sent["overview"] = "Animated toys fly a rocket to the moon; a family adventure."
        started = api.post("/v1/content", json=sent)
        assert started.status_code == 202
        path = f"/v1/operations/{started.json()['operation_id']}"
        assert until(lambda: api.get(path).json()["state"] != "running")
        operation = api.get(path).json()
        assert operation["state"] == "completed"
        assert operation["result"]["similar"]
        assert operation["result"]["audience"]
        assert until(lambda: api.get("/v1/search?q=toys in space").json()["items"][0]["title"] == "Toys in Space")
        view = {"event_id": "p-new-1", "type": "view", "user": "test:new", "content": "movielens:1"}
        assert api.post("/v1/events", json={"events": [view]}).json()["accepted"] == 1
        titles = [i["title"] for i in api.get("/v1/users/test:new/recommendations").json()["items"]]
    assert "Toys in Space" in titles
    assert "Toy Story" not in titles


@pytest.mark.parametrize("name", PARTS)
def test_kill__any_part__comes_back_and_recommendations_go_on(platform: Platform, name: str) -> None:
    before = platform.status()[name]
    with platform.api() as api:
        os.kill(before["pid"], signal.SIGKILL)

        def is_back() -> bool:
            if name != "api":
                answer = api.get("/v1/users/movielens:2/recommendations?limit=5")
                assert answer.status_code == 200
                assert len(answer.json()["items"]) == 5
            part = platform.status()[name]
            return part["state"] == "running" and part["pid"] != before["pid"]

        assert until(is_back), platform.nexus("doctor").stdout
    assert until(lambda: platform.nexus("status").returncode == 0)
    with platform.api() as api:
        assert api.get("/v1/users/movielens:2/recommendations?limit=5").json()["source"] == "champion"


def test_events__accepted_around_a_killed_redis__are_in_the_lake_once(platform: Platform) -> None:
    mark = uuid.uuid4().hex[:8]
    sent: set[str] = set()

    def post(api: httpx.Client, numbers: range) -> None:
        batch = [
            {"event_id": f"{mark}-{n}", "type": "rate", "user": f"test:{mark}", "content": f"movielens:{n}", "value": 4}
            for n in numbers
        ]

        def is_taken() -> bool:
            answer = api.post("/v1/events", json={"events": batch})
            if answer.status_code == 503:
                return False
            refused = {one["index"] for one in answer.json()["refused"]}
            sent.update(event["event_id"] for number, event in enumerate(batch) if number not in refused)
            return True

        assert until(is_taken)

    with platform.api() as api:
        post(api, range(1, 60))
        post(api, range(30, 90))
        os.kill(platform.status()["redis"]["pid"], signal.SIGKILL)
        post(api, range(60, 120))
    ran = platform.nexus("pipeline", "run", "--job", "events")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert platform.nexus("pipeline", "run", "--job", "events").returncode == 0
    from nexus.lake.lake import Lake

    lake = Lake(str(platform.home / "lake"))
    raw = pl.DataFrame(lake.read("raw_nexus__events")).filter(pl.col("body").str.contains(mark))
    core = pl.DataFrame(lake.read("core_nexus__events")).filter(pl.col("event_id").str.starts_with(mark))
    assert len(raw) == len(sent)
    assert sorted(core["event_id"]) == sorted(sent)


def test_down__everything__leaves_no_process_and_up_goes_on(platform: Platform) -> None:
    assert platform.nexus("down").returncode == 0
    assert [process.name() for process in platform.marked()] == []
    assert {part["state"] for part in platform.status().values()} == {"stopped"}
    assert platform.nexus("up").returncode == 0
    with platform.api() as api:
        assert api.get("/v1/users/test:new/history").json()["items"][0]["title"] == "Toy Story"


def test_two_ups_at_once__one_works__the_other_waits_or_says_so(platform: Platform) -> None:
    assert platform.nexus("down").returncode == 0
    words = ["sh", "bin/nexus", "up"]
    env = os.environ | {"NEXUS_HOME": str(platform.home)}
    both = [
        subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert 0 in [process.returncode for process in both], said
    assert all("Traceback" not in text for text in said)
    refused = [text for process, text in zip(both, said, strict=True) if process.returncode]
    assert all("another" in text for text in refused), said
    assert {part["state"] for part in platform.status().values()} == {"running"}
