"""The short way of an answer that is kept: past routing and checking, which the same request went through before.

Belongs here: the ASGI layer. What is not a plain GET for recommendations, and what is not kept, goes the long way.
Does not belong here: whether an answer still holds (kept).
"""

from __future__ import annotations

from functools import cache

from starlette.datastructures import State as AppState
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.metrics import Metrics
from serving.recommendations.kept import KeptAnswer
from serving.responses import SECURITY_HEADERS

SUFFIX = "/recommendations"
_LONG_WAY = frozenset({b"content-length", b"transfer-encoding", b"cache-control", b"pragma", b"expect"})
_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {"content-type": "application/json", "cache-control": "no-store", **SECURITY_HEADERS}.items()
]


class FastAnswers:
    """Gives kept answers.

    Args:
        app: The long way.
        state: The application's state; its ``nexus`` is the process's state once it has started.
        route: What the request's route is called in figures and traces.
        metrics: Where answers are counted.
    """

    def __init__(self, app: ASGIApp, state: AppState, route: object, metrics: Metrics) -> None:
        self.app = app
        self.state = state
        self.route = route
        self.given, self.made = map(metrics.kept_answers.labels, ("given", "made"))
        self.recommendations = cache(metrics.recommendations.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        kept = await self._kept(scope) if scope["type"] == "http" else None
        if kept is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = self.route
        headers = [(b"content-length", str(len(kept.body)).encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": kept.body})

    async def _kept(self, scope: Scope) -> KeptAnswer | None:
        path = scope["path"]
        if not path.endswith(SUFFIX) or scope["method"] != "GET":
            return None
        state = getattr(self.state, "nexus", None)
        if state is None or any(name in _LONG_WAY for name, _ in scope["headers"]):
            return None
        kept: KeptAnswer | None = await state.kept.find((path, scope["query_string"]))
        if kept is None:
            self.made.inc()
        else:
            self.recommendations(kept.source).inc()
            self.given.inc()
        return kept
