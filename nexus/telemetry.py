"""Traces: one id from a request through workflow, activity and asset, carried as a W3C ``traceparent``.

Belongs here: the process's tracer (sampling, where spans go), the current span, carrying it over a border.
Does not belong here: figures (each part's own registry), adapters of an engine (serving.tracing, workflows.observing,
assets.tracing), the file of spans (nexus.spans).

A process has one tracer, because the current span is the process's too (a context variable). Until ``configure`` is
called there is none: spans cost next to nothing, are kept nowhere, and an id that came from outside still goes on.
OpenTelemetry is imported inside functions: a command that makes no span does not pay for it.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nexus.settings import Settings
from nexus.spans import FileExporter

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext, Tracer

RUN_TAG = "nexus/traceparent"
"""The tag of a Dagster run that says in whose name it runs."""
ENVIRONMENT = "TRACEPARENT"
"""The variable that says it to a child process."""
STREAM_FIELD = "traceparent"
"""The field of a Redis stream's entry that says it."""
FLUSH_S = 1.0
_MOST_LINKS = 32
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(-.*)?")  # fmt: skip


class Telemetry:
    """The tracing of this process; :func:`configure` makes it."""

    def __init__(self, provider: TracerProvider, ratio: float) -> None:
        self._provider = provider
        self.ratio = ratio
        self.tracer: Tracer = provider.get_tracer("nexus")

    def flush(self) -> None:
        """Write what waits."""
        self._provider.force_flush(5_000)

    def close(self) -> None:
        """Write what waits, and trace no longer."""
        if _process.active is self:
            _process.active = None
        self._provider.shutdown()


class _Process:
    """The one place of state: which tracing this process uses."""

    active: Telemetry | None = None


_process = _Process()


def configure(settings: Settings, service: str) -> Telemetry:
    """Trace this process; asked again, what is there stays.

    Args:
        settings: Where spans go and which are kept.
        service: The part, as in ``bin/nexus status``.
    """
    if _process.active is None:
        _process.active = Telemetry(_provider(settings, service), settings.telemetry.sample_ratio)
    return _process.active


def _provider(settings: Settings, service: str) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

    told = settings.telemetry
    provider = TracerProvider(
        sampler=ParentBased(ALWAYS_ON),
        resource=Resource({"service.name": f"nexus-{service}", "service.namespace": "nexus"}),
    )
    delay_ms = FLUSH_S * 1_000
    if told.file_bytes:
        exporter: Any = FileExporter(settings.home, service, told.file_bytes)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=delay_ms))
    if told.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = told.otlp_endpoint.rstrip("/")
        url = endpoint if endpoint.endswith("/v1/traces") else f"{endpoint}/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url), schedule_delay_millis=delay_ms))
    return provider


def tracer() -> Tracer:
    """The process's tracer; one that keeps nothing until :func:`configure` was called."""
    if _process.active is not None:
        return _process.active.tracer
    from opentelemetry.trace import NoOpTracer

    return NoOpTracer()


def is_drawn() -> bool:
    """Whether this root, one of very many, is among the share that is kept; asked before its span is begun."""
    return _process.active is not None and random.random() < _process.active.ratio  # noqa: S311 (no secret)


def flush() -> None:
    """Write what waits: before a process ends that runs no exit handlers."""
    if _process.active is not None:
        _process.active.flush()


@contextmanager
def span(name: str, *, links: Sequence[str] = (), **attributes: Any) -> Iterator[Span]:
    """Time a block as a child of the current span.

    Args:
        name: A short name without ids: ids are attributes.
        links: Traceparents of other traces that this block works for (a batch).
        attributes: Facts; None is left out.
    """
    from opentelemetry.trace import Link

    kept = [Link(context) for context in map(span_context, dict.fromkeys(links)) if context is not None]
    facts = {key: value for key, value in attributes.items() if value is not None}
    with tracer().start_as_current_span(
        name, attributes=facts, links=kept[:_MOST_LINKS], record_exception=False
    ) as started:
        yield started


def span_context(traceparent: str | None) -> SpanContext | None:
    """What a traceparent says; None when it is not one (W3C Trace Context, section 3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None or (found.string.startswith("00") and found.group(4)):
        return None
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(int(found["flags"], 16) & TraceFlags.SAMPLED)
    return SpanContext(int(found["trace"], 16), int(found["span"], 16), is_remote=True, trace_flags=flags)


def parent(traceparent: str | None) -> Context | None:
    """The OpenTelemetry context that a traceparent stands for; None when it is not one."""
    found = span_context(traceparent)
    if found is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    return set_span_in_context(NonRecordingSpan(found), Context())


@contextmanager
def attach(traceparent: str | None) -> Iterator[None]:
    """Within, spans and log lines belong to the trace that came over a border; nothing happens without one."""
    found = parent(traceparent)
    if found is None:
        yield
        return
    from opentelemetry import context

    token = context.attach(found)
    try:
        yield
    finally:
        context.detach(token)


def current() -> SpanContext | None:
    """The current span; None when there is none."""
    if "opentelemetry.trace" not in sys.modules:  # then nobody made one
        return None
    from opentelemetry.trace import get_current_span

    found = get_current_span().get_span_context()
    return found if found.is_valid else None


def trace_id() -> str | None:
    """The id of the current trace, 32 hexadecimal digits."""
    found = current()
    return None if found is None else f"{found.trace_id:032x}"


def current_traceparent() -> str | None:
    """The current span as a ``traceparent``, to carry it over a border."""
    found = current()
    return None if found is None else as_traceparent(found)


def sampled_traceparent() -> str | None:
    """The same, only if the trace is kept: what goes into every entry of a stream should be worth its bytes."""
    found = current()
    return as_traceparent(found) if found is not None and found.trace_flags.sampled else None


def run_tags() -> dict[str, str]:
    """The tags of a Dagster run that the current span asks for; none outside of a trace."""
    found = current_traceparent()
    return {} if found is None else {RUN_TAG: found}


def as_traceparent(found: SpanContext) -> str:
    """A span's ``traceparent``."""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def unkept_trace_id() -> str:
    """The id of a trace that is kept nowhere, for an answer that needs no span."""
    return f"{random.getrandbits(128) | 1:032x}"


def unkept_span() -> Span:
    """A span with an id of its own that is kept nowhere."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext

    return NonRecordingSpan(SpanContext(random.getrandbits(128) | 1, random.getrandbits(64) | 1, is_remote=False))
