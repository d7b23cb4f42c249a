"""Runs of Dagster as spans: a run belongs to the trace that its tag names, and each of its steps is a span within.

Belongs here: the executor that follows the steps, and the tags that carry a trace into a run.
Does not belong here: what steps do, keeping spans (nexus.telemetry).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import dagster as dg
from structlog.contextvars import bound_contextvars

from nexus import logs, telemetry
from nexus.settings import load

_BEGAN = "STEP_START"
_ENDED = {"STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED", "STEP_UP_FOR_RETRY"}
_FAILED = {"STEP_FAILURE", "STEP_UP_FOR_RETRY"}


class Traced(dg.Executor):
    """Runs steps as another executor does, each within a span; for executors that run them in this very process.

    The events of such an executor come while it works: a step's code runs between its first event and its last, in
    this thread, so what it does (a write, a workflow it starts, a log line) belongs to the step's span.
    """

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        """As of the executor within."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        """As of the executor within."""
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Run the steps; the events are those of the executor within."""
        run, settings = plan_context.dagster_run, load()
        telemetry.configure(settings, "run")
        with (
            logs.to_file(settings.home / "logs" / f"{logs.RUNS}.log", part="run", level=settings.log_level),
            bound_contextvars(run_id=run.run_id),
            telemetry.attach(run.tags.get(telemetry.RUN_TAG)),
            telemetry.span(f"run {run.job_name}", **{"dagster.run_id": run.run_id}) as whole,
            _Steps(whole) as steps,
        ):
            for event in self._inner.execute(plan_context, execution_plan):
                steps.follow(event)
                yield event
        telemetry.flush()  # Dagster ends the process without its exit handlers


class _Steps(ExitStack):
    """The span of the step that runs now."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self._whole = whole
        self._now: Any = None

    def follow(self, event: Any) -> None:
        """Begin or end a step's span."""
        kind, step = event.event_type_value, event.step_key
        if kind == _BEGAN:
            self.close()
            self._now = self.enter_context(telemetry.span(f"step {step}"))
        elif kind in _ENDED:
            if kind in _FAILED:
                _fail(self._now, f"step {step} failed")
                _fail(self._whole, f"step {step} failed")
            self.close()

    def close(self) -> None:
        """No step runs."""
        super().close()
        self._now = None


def _fail(span: Any, reason: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    if span is not None:
        span.set_status(Status(StatusCode.ERROR, reason))


def in_process() -> dg.ExecutorDefinition:
    """Dagster's in-process executor, traced; its configuration is the same."""
    # Naming a log handler in dagster.yaml is beta in Dagster 1.13; the pin is exact, so the notice helps nobody.
    warnings.filterwarnings("ignore", "Handling yaml-defined logging", category=dg.BetaWarning)
    plain = dg.in_process_executor
    create = plain.executor_creation_fn
    assert create is not None  # noqa: S101 - it is the definition's own
    return dg.ExecutorDefinition(
        name=plain.name,
        config_schema=cast("Any", plain.config_schema),
        description="Executes all steps in one process, each within a span of the run's trace.",
        executor_creation_fn=lambda context: Traced(create(context)),
    )
