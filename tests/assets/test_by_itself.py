"""Nobody's hand: new events, one tick of the sensor, a run, and the gate's answer with numbers.

The sensor, the jobs, the gate, the registry, the workflow of a promotion and its worker are the real ones; what stands in
for Dagster's daemon is a loop of this test.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import redis

from assets import automation, news, schedules
from assets.definitions import build_defs
from assets.resources import with_settings
from media.sources.movielens import MovieLens
from nexus import events
from nexus.db import migrate
from nexus.lake.lake import Lake
from nexus.settings import ROOT, Settings, TrainingSettings
from training import registry

TITLES, VIEWERS, NEW_VIEWERS, STEPS = 60, 60, 60, 15
THRESHOLD = 300


@pytest.mark.unit
def test_automation__every_schedule_and_sensor__runs_from_the_start() -> None:
    defs = build_defs(settings=Settings())
    assert {one.name for one in defs.schedules or ()} == {"training", "hourly_events", "lake_care"}
    for schedule in defs.schedules or ():
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING, schedule.name
    names = {sensor.name for sensor in defs.sensors or ()}
    assert {"new_data", "waiting_events", "after_changes", "alert_on_failed_run", "look_at_finished_run"} <= names
    for sensor in defs.sensors or ():
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name


@pytest.mark.unit
def test_automation__turned_off__starts_nothing_but_still_tells() -> None:
    defs = build_defs(settings=Settings(training=TrainingSettings(is_automatic=False)))
    assert all(one.default_status is dg.DefaultScheduleStatus.STOPPED for one in defs.schedules or ())
    running = {one.name for one in defs.sensors or () if one.default_status is dg.DefaultSensorStatus.RUNNING}
    assert running == {"alert_on_failed_run", "look_at_finished_run", "watch_freshness"}


@pytest.mark.unit
def test_automation__policies__are_on_assets_that_exist() -> None:
    graph = build_defs(
        settings=Settings(training=TrainingSettings(stale_after_h=10, schedule="0 1 * * 1-5"))
    ).resolve_asset_graph()
    fresh = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    follow = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).automation_condition}
    assert fresh == set(automation.DAILY)
    assert follow == set(automation.FOLLOWING)
    policy: Any = graph.get(dg.AssetKey("marts_nexus__interactions")).freshness_policy
    assert policy.fail_window.to_timedelta() == timedelta(hours=10)


@pytest.mark.unit
@pytest.mark.parametrize("cron", ["nonsense", "* * * *", "@daily", "15 3 * * * ; rm"])
def test_settings__schedule_that_is_no_cron__is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        TrainingSettings(schedule=cron)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("loads", "new", "minutes_ago", "is_worth_it"),
    [((), 0, None, False), ((), 499, 99, False), ((), 500, 99, True), ((), 500, 5, False), (("l",), 0, 5, True)],
)
def test_judge__news__are_worth_a_training_when_they_are_enough_and_not_too_soon(
    loads: tuple[str, ...], new: int, minutes_ago: int | None, is_worth_it: bool
) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    last = None if minutes_ago is None else now - timedelta(minutes=minutes_ago)
    verdict = news.judge(Settings(), news.News(loads, 1000, new), last_run_at=last, now=now)
    assert verdict.is_worth_it is is_worth_it
    assert verdict.reason


@pytest.mark.unit
def test_run_key__same_news__is_the_same_and_other_news_another() -> None:
    keys = [
        news.News(loads, count, 0).run_key for loads, count in [((), 5), ((), 5), ((), 6), (("a",), 5), (("a",), 6)]
    ]
    assert keys[0] == keys[1]
    assert keys[3] == keys[4], "a load is asked for once, however many events come meanwhile"
    assert len(set(keys)) == 3


class Platform:
    """A home whose parts are the session's servers, an MLflow of its own, and a worker."""

    def __init__(self, home: Path, shared: Settings) -> None:
        mark = uuid.uuid4().hex[:8]
        mlflow = f"sqlite:///{home}/mlflow.db"
        url = shared.postgres.owner_url(driver="", database=f"by_itself_{mark}")
        passwords = {role: word.get_secret_value() for role, word in shared.postgres.role_passwords.items()}
        facts = {
            "postgres": {"url": url, "role_passwords": passwords},
            "redis": {"url": shared.redis.dsn().rpartition("/")[0] + "/12"},
            "temporal": {"address": shared.temporal.address, "task_queue": f"by-itself-{mark}"},
            "mlflow": {"url": mlflow},
            "training": {"min_new_events": THRESHOLD, "cooldown_s": 0},
        }
        (home / "run").mkdir(parents=True)
        (home / "run" / "endpoints.json").write_text(json.dumps(facts))
        self.settings = Settings(home=home, **facts)
        self.lake = Lake.from_settings(self.settings)
        self.defs = build_defs(resource_overrides={"platform": with_settings(self.settings)}, settings=self.settings)
        self.instance = dg.DagsterInstance.local_temp(str(home))
        migrate.upgrade(self.settings)
        import mlflow as client

        client.MlflowClient(mlflow, registry_uri=mlflow).create_experiment(
            "nexus", artifact_location=(home / "runs").as_uri()
        )
        with redis.Redis.from_url(self.settings.redis.dsn()) as connection:
            connection.flushdb()

    def tick(self) -> Any:
        """What the daemon does twice a minute."""
        sensor = self.defs.resolve_sensor_def("new_data")
        resources = {"platform": with_settings(self.settings)}
        with dg.build_sensor_context(instance=self.instance, definitions=self.defs, resources=resources) as context:
            return sensor.evaluate_tick(context)

    def run(self, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """What the daemon does with a run that was asked for."""
        job = self.defs.resolve_job_def("pipeline")
        result = job.execute_in_process(instance=self.instance, tags=tags)
        assert result.success
        return result

    def send(self, viewer: int, titles: list[int]) -> None:
        """Ratings through the door of the API: one script, all or nothing."""
        now = datetime.now(UTC)
        raw = [
            {
                "event_id": f"e:{viewer}:{step}", "type": "rate", "user": f"app:{viewer}", "value": 4.5,
                "content": f"movielens:{title}", "at": (now - timedelta(hours=STEPS - step)).isoformat(),
            }
            for step, title in enumerate(titles)
        ]  # fmt: skip
        with redis.Redis.from_url(self.settings.redis.dsn()) as client:
            client.eval(
                events.ACCEPT_SCRIPT, 0, *events.accept_arguments([events.parse(one, now=now)[0] for one in raw])
            )


def stage(folder: Path, settings: Settings) -> None:
    """Viewers without any order in what they watch, so that nothing but popularity can be learned."""
    folder.mkdir()
    chance = random.Random(5)  # noqa: S311 no secret
    titles = "".join(f"{n},Title {n} ({1960 + n}),Drama\n" for n in range(1, TITLES + 1))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + titles)
    weights = [1 / n for n in range(1, TITLES + 1)]
    lines = []
    for viewer in range(1, VIEWERS + 1):
        seen = dict.fromkeys(chance.choices(range(1, TITLES + 1), weights, k=STEPS * 3))
        order = list(seen)[:STEPS]
        chance.shuffle(order)
        lines += [f"{viewer},{title},4.0,{1_000_000_000 + viewer * 1000 + step}" for step, title in enumerate(order)]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")
    MovieLens(folder).stage(settings.inbox)


@pytest.fixture
def platform(tmp_path: Path, settings: Settings) -> Iterator[Platform]:
    import mlflow

    made = Platform(tmp_path / "home", settings)
    env = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    env |= {"NEXUS_HOME": str(made.settings.home), "PYTHONPATH": str(ROOT)}
    log = (tmp_path / "worker.log").open("wb")
    words = [sys.executable, "-m", "workflows.worker"]
    with subprocess.Popen(words, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True) as worker:
        try:
            yield made
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            made.lake.close()
            made.instance.dispose()
            log.close()
            mlflow.set_tracking_uri(None)
            mlflow.set_registry_uri(None)


@pytest.mark.slow
def test_new_ratings__one_tick_and_its_run__change_the_champion_by_evidence(platform: Platform, tmp_path: Path) -> None:
    assert "no model was judged yet" in platform.tick().skip_message
    stage(tmp_path / "data", platform.settings)
    platform.run()
    (first,) = registry.list_models(platform.settings)
    assert first["aliases"] == ["champion"]
    assert platform.tick().skip_message.startswith("0 new events")

    chance = random.Random(7)  # noqa: S311 no secret
    starts = [chance.randrange(TITLES) for _ in range(NEW_VIEWERS)]
    walks = [[(start + step) % TITLES + 1 for step in range(STEPS)] for start in starts]
    for viewer, walk in enumerate(walks[:15]):
        platform.send(viewer, walk)
    assert platform.tick().skip_message == f"225 new events; a training starts at {THRESHOLD}"
    for viewer, walk in enumerate(walks[15:], start=15):
        platform.send(viewer, walk)
    (asked,), (again,) = platform.tick().run_requests, platform.tick().run_requests
    assert asked.run_key == again.run_key, "the same news are asked for once"
    assert asked.tags["nexus/by"] == "new_data"

    result = platform.run(dict(asked.tags))
    newest, oldest = registry.list_models(platform.settings)
    assert newest["gate"].startswith("accepted: NDCG@10"), newest["gate"]
    assert "better than champion" in newest["gate"]
    assert (newest["aliases"], oldest["aliases"]) == (["champion"], ["previous"])
    (event,) = result.asset_materializations_for_node("model_recommender__champion")
    assert event.metadata["outcome"].value == "done"
    assert platform.tick().skip_message.startswith("0 new events")
    assert not schedules.is_under_way(platform.instance, "pipeline")


@pytest.mark.integration
def test_collect__an_empty_stream_and_no_table__is_no_news(tmp_path: Path, redis_server: str) -> None:
    settings = Settings(home=tmp_path, redis={"url": redis_server.rpartition("/")[0] + "/13"})
    with redis.Redis.from_url(settings.redis.dsn()) as client:
        client.flushdb()
        found = news.collect(settings, Lake.from_settings(settings), client, known_events=0)
        assert found == news.News((), 0, 0)
        client.xadd(events.STREAM, {"event": "{}"})
        assert news.collect(settings, Lake.from_settings(settings), client, known_events=0).new_events == 1
