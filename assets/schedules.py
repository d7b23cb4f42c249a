"""When jobs run by themselves.

Belongs here: schedules and sensors over jobs. Does not belong here: what the jobs do.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import dagster as dg
import redis

from assets.jobs import EVENTS, PIPELINE
from assets.resources import PlatformResource
from nexus.events import STREAM

WAITING_EVENTS = 1_000
"""Entries in the stream from which the sensor asks for a drain."""


def build() -> list[dg.ScheduleDefinition]:
    """Every schedule; stopped until a person starts it in the UI."""
    return [
        dg.ScheduleDefinition(
            name="daily_refresh",
            job_name=PIPELINE,
            cron_schedule="15 3 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description="The whole pipeline, every night.",
        ),
        dg.ScheduleDefinition(
            name="hourly_events",
            job_name=EVENTS,
            cron_schedule="5 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description="What the API received, every hour.",
        ),
    ]


def sensors() -> list[dg.SensorDefinition]:
    """Every sensor over a job."""
    return [waiting_events]


@dg.sensor(
    job_name=EVENTS,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=f"Drains the stream when {WAITING_EVENTS} events wait in it.",
)
def waiting_events(platform: PlatformResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for a drain; the newest entry's id is the run key, so the same entries are asked for once."""
    client: Any
    with closing(redis.Redis.from_url(platform.settings().redis.dsn(), decode_responses=True)) as client:
        waiting = int(client.xlen(STREAM))
        if waiting < WAITING_EVENTS:
            return dg.SkipReason(f"{waiting} events wait; a drain starts at {WAITING_EVENTS}")
        newest = client.xrevrange(STREAM, count=1)[0][0]
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=str(newest))])
