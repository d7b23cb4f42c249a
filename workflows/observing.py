"""What the worker shows of itself: attempts of activities, how long they waited and took; the engine client's figures.

Belongs here: the interceptor that counts, the runtime with the engine's own endpoint. Traces come with the connection
(workflows.connection). Does not belong here: figures of other parts (nexus.exporter).
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from nexus import logs
from nexus.runtime.ports import is_free
from nexus.settings import Settings

_LOG = logs.get(__name__)
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Figures:
    """The worker's own figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "nexus_activity_attempts", "Attempts of activities.", ("activity", "outcome"), registry=self.registry
        )
        self.retries = Counter(
            "nexus_activity_retries", "Attempts after the first.", ("activity",), registry=self.registry
        )
        self.seconds = Histogram(
            "nexus_activity_seconds", "Time of an attempt.", ("activity",), buckets=_BUCKETS, registry=self.registry
        )
        self.waited = Histogram(
            "nexus_activity_queue_seconds",
            "Time between an attempt's schedule and its start.",
            ("activity",),
            buckets=_BUCKETS,
            registry=self.registry,
        )


class Counting(Interceptor):
    """Counts and times every attempt of an activity."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Put the counting around what runs the activity."""
        return _Counted(next, self._figures)


class _Counted(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, figures: Figures) -> None:  # noqa: A002
        super().__init__(next)
        self._figures = figures

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 the engine's name
        info = activity.info()
        name = info.activity_type
        waited = (info.started_time - info.current_attempt_scheduled_time).total_seconds()
        self._figures.waited.labels(name).observe(max(0.0, waited))
        began, outcome = perf_counter(), "failed"
        try:
            result = await super().execute_activity(input)
            outcome = "completed"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except ApplicationError as error:
            if error.category is ApplicationErrorCategory.BENIGN:  # nothing has happened yet: it looks again later
                outcome = "waiting"
            raise
        else:
            return result
        finally:
            seconds = perf_counter() - began
            if info.attempt > 1 and outcome != "waiting":
                self._figures.retries.labels(name).inc()
            self._figures.attempts.labels(name, outcome).inc()
            self._figures.seconds.labels(name).observe(seconds)
            (_LOG.debug if outcome == "waiting" else _LOG.info)(
                "activity_ended",
                activity=name,
                outcome=outcome,
                attempt=info.attempt,
                seconds=round(seconds, 4),
                workflow_id=info.workflow_id,
            )


def runtime(settings: Settings) -> Runtime | None:
    """The engine client's runtime with its own endpoint of figures (failures of workflows, latencies of its queues)."""
    told = settings.telemetry
    if told.engine_url is None:
        return None
    if not is_free(told.engine_port, told.metrics_host):
        logs.get(__name__).warning("figures_missing", source="engine", reason=f"port {told.engine_port} is taken")
        return None
    host = f"[{told.metrics_host}]" if ":" in told.metrics_host else told.metrics_host
    metrics = PrometheusConfig(
        f"{host}:{told.engine_port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))
