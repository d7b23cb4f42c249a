"""When jobs run by themselves: at night, every hour, when much is new. All of it runs from the start, with nobody's hand.

Belongs here: schedules and sensors over jobs. Does not belong here: what the jobs do, what counts as new (assets.news),
assets that follow others (assets.automation).
"""

from contextlib import closing
from datetime import datetime
from typing import Any

import dagster as dg
import redis

from assets import news
from assets.jobs import CARE, EVENTS, PIPELINE
from assets.resources import PlatformResource
from nexus.events import STREAM
from nexus.settings import Settings

WAITING_EVENTS = 1_000
"""Entries in the stream from which the sensor asks for a drain."""
BY_TAG = "nexus/by"
_JUDGED, _RAW_EVENTS = dg.AssetKey("model_recommender__champion"), dg.AssetKey("raw_nexus__events")
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Every schedule; running, unless the settings leave everything to people."""
    is_on = settings.training.is_automatic
    status = dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED
    return [
        dg.ScheduleDefinition(
            name="training",
            job_name=PIPELINE,
            cron_schedule=settings.training.schedule.strip(),
            execution_timezone="UTC",
            default_status=status,
            tags={BY_TAG: "schedule training"},
            description="Everything made anew, and a model trained if the data or the code is new (training.schedule).",
        ),
        dg.ScheduleDefinition(
            name="lake_care",
            job_name=CARE,
            cron_schedule=settings.care.schedule.strip(),
            execution_timezone="UTC",
            default_status=status,
            tags={BY_TAG: "schedule lake_care"},
            description="Compact, order, checkpoint and vacuum every table (care.schedule).",
        ),
        _hourly_events(status),
    ]


def _hourly_events(status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="hourly_events",
        job_name=EVENTS,
        cron_schedule="5 * * * *",
        execution_timezone="UTC",
        default_status=status,
        description="What the API received, every hour in which it received something.",
    )
    def hourly_events(platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
        with closing(_redis(platform)) as client:
            waiting = int(client.xlen(STREAM))
        return dg.RunRequest(tags={BY_TAG: "schedule hourly_events"}) if waiting else dg.SkipReason("no event waits")

    return hourly_events


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Every sensor over a job."""
    is_on = settings.training.is_automatic
    status = dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED
    return [_waiting_events(status), _new_data(status)]


def _waiting_events(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="waiting_events",
        job_name=EVENTS,
        minimum_interval_seconds=60,
        default_status=status,
        description=f"Drains the stream when {WAITING_EVENTS} events wait in it.",
    )
    def waiting_events(
        context: dg.SensorEvaluationContext, platform: PlatformResource
    ) -> dg.SensorResult | dg.SkipReason:
        """Ask for a drain; the newest entry's id is the run key, so the same entries are asked for once."""
        with closing(_redis(platform)) as client:
            waiting = int(client.xlen(STREAM))
            if waiting < WAITING_EVENTS:
                return dg.SkipReason(f"{waiting} events wait; a drain starts at {WAITING_EVENTS}")
            newest = client.xrevrange(STREAM, count=1)[0][0]
        if is_under_way(context.instance, EVENTS) or is_under_way(context.instance, PIPELINE):
            return dg.SkipReason(f"{waiting} events wait, and a run that drains is under way")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=str(newest), tags={BY_TAG: "waiting_events"})])

    return waiting_events


def _new_data(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_data",
        job_name=PIPELINE,
        minimum_interval_seconds=60,
        default_status=status,
        description="Makes everything anew and trains when a load waits in the inbox or enough events are new.",
    )
    def new_data(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
        """Compare what is there with what the last judged model knew; the same news are asked for once."""
        instance = context.instance
        judged = instance.fetch_materializations(_JUDGED, limit=1).records
        if not judged:
            return dg.SkipReason("no model was judged yet: bin/nexus up makes the first")
        if is_under_way(instance, PIPELINE):
            return dg.SkipReason("a run of the pipeline is under way")
        settings = platform.settings()
        with closing(_redis(platform)) as client:
            found = news.collect(settings, platform.lake(), client, known_events=known_events(instance, judged[0]))
        verdict = news.judge(settings, found, last_run_at=_last_run_at(instance))
        if not verdict.is_worth_it:
            return dg.SkipReason(verdict.reason)
        tags = {BY_TAG: "new_data", "nexus/reason": verdict.reason}
        return dg.RunRequest(run_key=f"{judged[0].storage_id}:{found.run_key}", tags=tags)

    return new_data


def is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job waits or goes on."""
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=_UNDER_WAY)) > 0


def known_events(instance: dg.DagsterInstance, judged: dg.EventLogRecord) -> int:
    """Events in the lake when the data of the last judged model was made: after the drain of its run."""
    before = dg.AssetRecordsFilter(asset_key=_RAW_EVENTS, before_storage_id=judged.storage_id)
    drains = instance.fetch_materializations(before, limit=50).records
    same = [drain for drain in drains if drain.run_id == judged.run_id]
    for drain in (*same, *drains):
        materialization = drain.asset_materialization
        count = materialization.metadata.get("dagster/row_count") if materialization else None
        if count is not None:
            return int(count.value)  # type: ignore[arg-type]
    return 0


def _last_run_at(instance: dg.DagsterInstance) -> datetime | None:
    found = instance.get_run_records(dg.RunsFilter(job_name=PIPELINE), limit=1)
    return found[0].create_timestamp if found else None


def _redis(platform: PlatformResource) -> Any:
    return redis.Redis.from_url(platform.settings().redis.dsn(), decode_responses=True)
