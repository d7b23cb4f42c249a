"""The short way of an answer that is kept: past routing and checking, which the same request went through before.

Belongs here: the ASGI layers. What is not a plain GET for recommendations, and what is not kept, goes the long way.
Does not belong here: whether an answer still holds (kept).

There are two layers. :class:`Shortcut` is the outermost of all: most requests have no trace to continue and none is drawn for them, so
they need neither the layer of traces nor that of figures around them; it counts, times and names its answers itself.
:class:`FastAnswers` lies inside those layers and answers what is traced.
"""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import Any

from starlette.datastructures import State as AppState
from starlette.types import ASGIApp, Receive, Scope, Send

from nexus import telemetry
from serving.metrics import Metrics
from serving.recommendations.kept import KeptAnswer
from serving.responses import SECURITY_HEADERS
from serving.tracing import DRAWN, HEADER

SUFFIX = "/recommendations"
_LONG_WAY = frozenset({b"content-length", b"transfer-encoding", b"cache-control", b"pragma", b"expect"})
_TRACED = frozenset({*_LONG_WAY, b"traceparent"})
_ASKED = "nexus.kept_asked"
"""Where a request's scope says that no answer of it is kept."""
_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {"content-type": "application/json", "cache-control": "no-store", **SECURITY_HEADERS}.items()
]


class Answers:
    """Finds and counts kept answers.

    Args:
        state: The application's state; its ``nexus`` is the process's state once it has started.
        metrics: Where answers are counted.
    """

    def __init__(self, state: AppState, metrics: Metrics) -> None:
        self.state = state
        self.given, self.made = map(metrics.kept_answers.labels, ("given", "made"))
        self.recommendations = cache(metrics.recommendations.labels)

    async def of(self, scope: Scope) -> KeptAnswer | None:
        """The kept answer of a request for recommendations."""
        state = getattr(self.state, "nexus", None)
        if state is None:
            return None
        kept: KeptAnswer | None = await state.kept.find((scope["path"], scope["query_string"]))
        if kept is None:
            self.made.inc()
        else:
            self.recommendations(kept.source).inc()
            self.given.inc()
        return kept


class FastAnswers:
    """Gives kept answers inside the layers of traces and figures.

    Args:
        app: The long way.
        answers: Finds them.
        route: What the request's route is called in figures and traces.
    """

    def __init__(self, app: ASGIApp, answers: Answers, route: object) -> None:
        self.app = app
        self.answers = answers
        self.route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        kept = await self.answers.of(scope) if _is_plain(scope, _LONG_WAY) and _ASKED not in scope else None
        if kept is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = self.route
        await send(_start(kept))
        await send({"type": "http.response.body", "body": kept.body})


class Shortcut:
    """Gives kept answers to requests that are not traced, outside of all other layers.

    Args:
        app: The long way.
        answers: Finds them.
        route: The template of the request's route, for figures.
        metrics: Where requests are counted and timed.
    """

    def __init__(self, app: ASGIApp, answers: Answers, route: str, metrics: Metrics) -> None:
        self.app = app
        self.answers = answers
        self.route = route
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if not _is_plain(scope, _TRACED):
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        scope[DRAWN] = telemetry.is_drawn()
        if scope[DRAWN]:
            await self.app(scope, receive, send)
            return
        kept = await self.answers.of(scope)
        if kept is None:
            scope[_ASKED] = True
            await self.app(scope, receive, send)
            return
        start = _start(kept)
        start["headers"].append((HEADER, telemetry.unkept_trace_id().encode()))
        await send(start)
        await send({"type": "http.response.body", "body": kept.body})
        self.metrics.answered("GET", self.route, 200, perf_counter() - began)


def _is_plain(scope: Scope, not_with: frozenset[bytes]) -> bool:
    """Whether this is a GET for recommendations with none of the named headers."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith(SUFFIX):
        return False
    return not_with.isdisjoint([name for name, _ in scope["headers"]])


def _start(kept: KeptAnswer) -> dict[str, Any]:
    headers = [(b"content-length", str(len(kept.body)).encode()), *_HEADERS]
    return {"type": "http.response.start", "status": 200, "headers": headers}
