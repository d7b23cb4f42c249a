"""Running a Dagster job with its steps shown as they end; used by ``up``, ``pipeline run`` and ``load``.

Belongs here: lines of progress. Does not belong here: launching and following (nexus.runtime.pipeline).
"""

from __future__ import annotations

from nexus import telemetry
from nexus.cli.output import Progress
from nexus.errors import Category, NexusError
from nexus.runtime.pipeline import Outcome, Pipeline, Step
from nexus.runtime.state import user_settings
from nexus.settings import Settings


def run_job(settings: Settings, progress: Progress, job: str) -> Outcome:
    """Run a job, or follow the run of it that is under way, and print every step as it ends.

    Raises:
        NexusError: category ``unavailable`` when Dagster does not answer or the run does not succeed.
    """
    is_local = user_settings().dagster.url is None
    runs = Pipeline(settings.dagster.url or "", settings.home if is_local else None)

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

    telemetry.configure(settings, "cli")
    with telemetry.span(f"bin/nexus runs {job}"):
        outcome = runs.run(job, on_step, on_launch=on_launch)
    if not outcome.is_success:
        raise NexusError(
            f"the run of {job} ended as {outcome.status.lower()}: {outcome.reason or 'no reason was given'}",
            category=Category.UNAVAILABLE,
            remedy=f"see {settings.dagster.url}/runs/{outcome.run_id}, then run this again",
        )
    return outcome
