"""When jobs run by themselves.

Belongs here: schedules and sensors over jobs. Does not belong here: what the jobs do.
"""

from __future__ import annotations

import dagster as dg

from assets.jobs import PIPELINE


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
    ]


def sensors() -> list[dg.SensorDefinition]:
    """Every sensor over a job."""
    return []
