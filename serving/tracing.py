"""The ASGI layer that gives each request of the API a trace: an incoming W3C ``traceparent`` is continued.

Written by hand because it is on the way of every recommendation: one span a request instead of the three of the
general instrumentation, and nothing but an id for those that are not sampled (docs/decisions/0014).
Does not belong here: how spans are kept (nexus.telemetry), figures (serving.metrics).
"""

from __future__ import annotations

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus import telemetry

TRACED = "/v1/"
TRACE_ID = "nexus.trace_id"
"""Where a request's scope keeps its trace id, for an answer that is made outside this layer."""
HEADER = b"x-trace-id"
DRAWN = "nexus.trace_drawn"
"""Where a request's scope says whether its trace was drawn, when a layer outside this one has drawn already."""
_EVENTS = "/v1/events"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_SERVER_ERROR = 500


class Traced:
    """Makes one span per request of the API; pages, probes and figures have none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not scope["path"].startswith(TRACED):
            await self.app(scope, receive, send)
            return
        within = _incoming(scope)
        span = _start(scope, within)
        found = span.get_span_context()
        trace_id = f"{found.trace_id:032x}"
        scope[TRACE_ID] = trace_id
        header = (HEADER, trace_id.encode())
        status = _SERVER_ERROR

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], header]
            await send(message)

        token = otel.attach(set_span_in_context(span, within))
        try:
            await self.app(scope, receive, told)
        finally:
            otel.detach(token)
            if span.is_recording():
                _describe(span, scope, status)
            span.end()


def _incoming(scope: Scope) -> Context | None:
    """The context of the caller's span; a header that is not a traceparent is as good as none, so is one of two."""
    values = [value for name, value in scope["headers"] if name == b"traceparent"]
    if len(values) != 1:
        return None
    return telemetry.parent(values[0].decode("latin-1"))


def _start(scope: Scope, within: Context | None) -> Span:
    method = scope["method"]
    is_one_of_many = method in _READS or scope["path"] == _EVENTS
    if is_one_of_many and within is None:
        is_drawn = scope[DRAWN] if DRAWN in scope else telemetry.is_drawn()
        if not is_drawn:
            return telemetry.unkept_span()
    span = telemetry.tracer().start_span("request", within, kind=SpanKind.SERVER)
    return span if span.get_span_context().is_valid else telemetry.unkept_span()


def _describe(span: Span, scope: Scope, status: int) -> None:
    """Name the span by the route's template, which is known only now; no id of a viewer goes into it."""
    path = getattr(scope.get("route"), "path", None) or "(none)"
    span.update_name(f"{scope['method'][:10]} {path}")
    span.set_attributes({"http.response.status_code": status, "http.route": path})
    if status >= _SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))
