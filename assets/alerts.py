"""What is worth an alert: runs that failed, checks that failed in them, tables that are too old.

Belongs here: sensors, RUNNING by themselves, and what they read off Dagster's events. Does not belong here: rows and
webhooks (nexus.alerts). A check is read off the end of its run, so that one that fails and passes soon after is not missed.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, AssetCheckSeverity, DagsterEventType
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateRecord

from assets.resources import PlatformResource
from nexus.alerts import report
from nexus.db.alerts import Fault, Kind, Severity

_EVERY_S = 60
_RETRY_TAG = "dagster/will_retry"
_ANONYMOUS = "__ASSET_JOB"
"""Dagster's name for a run of chosen assets."""


def build() -> list[dg.SensorDefinition]:
    """Every sensor that raises alerts."""
    return [alert_on_failed_run, look_at_finished_run, watch_freshness]


@dg.run_failure_sensor(
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises an alert for each run that failed, and for each check that failed in it.",
)
def alert_on_failed_run(context: dg.RunFailureSensorContext, platform: PlatformResource) -> None:
    """A run failed; one that Dagster tries again by itself is left until that ends."""
    run = context.dagster_run
    if run.tags.get(_RETRY_TAG) == "true":
        return
    faults, well = of_checks(context.instance, run.run_id)
    message = f"{subject_of(run)} failed: {_reason(context)}"
    faults.append(Fault("run", subject_of(run), "error", message, run.run_id, {"run_id": run.run_id}))
    report(platform.settings(), faults, well, by=f"run {run.run_id}")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises an alert for each check that failed in a run, and closes those of what is well again.",
)
def look_at_finished_run(context: dg.RunStatusSensorContext, platform: PlatformResource) -> None:
    """A run succeeded: its job is well, and its checks say how its tables are."""
    run = context.dagster_run
    faults, well = of_checks(context.instance, run.run_id)
    well.append(("run", subject_of(run)))
    report(platform.settings(), faults, well, by=f"run {run.run_id}")


@dg.sensor(
    name="watch_freshness",
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises an alert for each asset that is older than its freshness policy allows; repeats what a webhook did not take.",
)
def watch_freshness(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Compare what Dagster's freshness daemon says with the open alerts."""
    assert context.repository_def is not None  # noqa: S101 (narrows the type)
    graph = context.repository_def.asset_graph
    keys = [key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy is not None]
    records = context.instance.get_freshness_state_records(keys)
    faults, well = of_freshness(records.values())
    new = report(platform.settings(), faults, well, by="freshness policy")
    return dg.SkipReason(f"{len(faults)} of {len(keys)} assets are too old; {new} of them were not known")


def subject_of(run: dg.DagsterRun) -> str:
    """What an alert about a run is about: the job, or the assets that were chosen by hand."""
    if run.job_name != _ANONYMOUS:
        return run.job_name
    chosen = sorted(key.to_user_string() for key in run.asset_selection or ())
    return ", ".join(chosen[:3]) + (f" and {len(chosen) - 3} more" if len(chosen) > 3 else "") or run.job_name


def of_checks(instance: dg.DagsterInstance, run_id: str) -> tuple[list[Fault], list[tuple[Kind, str]]]:
    """Checks that a run evaluated: those that failed, and those that passed."""
    faults: list[Fault] = []
    well: list[tuple[Kind, str]] = []
    for found in _evaluations(instance, run_id):
        subject = f"{found.asset_key.to_user_string()}.{found.check_name}"
        if found.passed:
            well.append(("check", subject))
            continue
        figures = {name: _plain(value) for name, value in found.metadata.items()}
        words = "; ".join(f"{name}: {str(value)[:200]}" for name, value in figures.items())
        severity: Severity = "warn" if found.severity is AssetCheckSeverity.WARN else "error"
        message = f"check {subject} failed{f': {words}' if words else ''}"
        faults.append(
            Fault("check", subject, severity, message, run_id, {"run_id": run_id, "metadata": _bounded(figures)})
        )
    return faults, well


def of_freshness(records: Any) -> tuple[list[Fault], list[tuple[Kind, str]]]:
    """States of freshness as faults and what is well; a warning is neither."""
    faults: list[Fault] = []
    well: list[tuple[Kind, str]] = []
    record: FreshnessStateRecord
    for record in records:
        subject, since = record.entity_key.to_user_string(), record.updated_at.isoformat(timespec="seconds")
        if record.freshness_state is FreshnessState.FAIL:
            message = f"{subject} was not made anew for longer than its freshness policy allows (noticed {since})"
            faults.append(Fault("freshness", subject, "error", message, since))
        elif record.freshness_state is FreshnessState.PASS:
            well.append(("freshness", subject))
    return faults, well


def _evaluations(instance: dg.DagsterInstance, run_id: str) -> Iterator[AssetCheckEvaluation]:
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION):
        event = entry.dagster_event
        if event is not None:
            yield event.asset_check_evaluation_data


def _reason(context: dg.RunFailureSensorContext) -> str:
    """What broke the run: the first step that failed, and its innermost error."""
    for event in context.get_step_failure_events():
        data: Any = event.step_failure_data
        error = data.error
        while error is not None and error.cause is not None:
            error = error.cause
        return f"{event.step_key}: {(error.message if error else event.message or '').strip()[:1500]}"
    error = context.failure_event.job_failure_data.error
    return ((error.message if error else context.failure_event.message) or "no reason was given").strip()[:1500]


def _plain(value: Any) -> Any:
    plain = getattr(value, "value", value)
    return plain if isinstance(plain, str | int | float | bool | list | dict | type(None)) else str(plain)


def _bounded(figures: dict[str, Any]) -> dict[str, Any]:
    """Pictures and long texts stay in Dagster."""
    return {name: value for name, value in figures.items() if len(str(value)) <= 2000}
