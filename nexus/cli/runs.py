"""Runs of Dagster jobs that a command starts, as lines of progress; every one of them is in Dagster's UI too.

Belongs here: launching and printing. Does not belong here: following a run (nexus.runtime.pipeline), what a job does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.errors import Category, NexusError
from nexus.settings import not_started

if TYPE_CHECKING:
    from nexus.cli.output import Progress
    from nexus.runtime.pipeline import Outcome, Step
    from nexus.settings import Settings

JOB = "pipeline"


def run_job(settings: Settings, progress: Progress, job: str = JOB) -> Outcome:
    """Run a job to its end, or follow the run of it that is under way.

    Raises:
        NexusError: Dagster does not answer, or the run did not succeed.
    """
    from nexus.runtime.pipeline import Pipeline
    from nexus.runtime.state import user_settings

    if settings.dagster.url is None:
        raise not_started("dagster")
    is_external = user_settings().dagster.url is not None

    def on_launch(run_id: str, is_resumed: bool) -> None:
        word = "follows the run under way" if is_resumed else "run"
        progress.say(f"{job} ({word}: {settings.dagster.url}/runs/{run_id})")

    def on_step(step: Step) -> None:
        if step.kind == "began":
            progress.began(step.name)
        elif step.kind == "done":
            progress.is_ready(step.name, step.seconds, f"{step.number} of {step.total}" if step.total else "")
        else:
            progress.failed(step.name, step.reason or step.kind, step.seconds)

    runs = Pipeline(settings.dagster.url, None if is_external else settings.home)
    outcome = runs.run(job, on_step, on_launch=on_launch)
    if not outcome.is_success:
        raise NexusError(
            f"the run ended as {outcome.status.lower()}: {outcome.reason or 'no reason was given'}",
            category=Category.UNAVAILABLE,
            remedy=f"see {settings.dagster.url}/runs/{outcome.run_id}, then run it again",
        )
    return outcome
