"""Figures about this process, in Prometheus' text format.

Belongs here: what is counted, and the ASGI layer that times requests.
Does not belong here: anything with a user or title in a label.
"""

from __future__ import annotations

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.008, 0.0125, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """All figures of one process; each app has its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        labels = ("method", "route", "status")
        self.requests = Counter("nexus_http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "nexus_http_request_seconds", "Time to the last byte.", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self.recommendations = Counter(
            "nexus_recommendations", "Recommendation answers by rung.", ("source",), registry=self.registry
        )
        self.rung_failures = Counter(
            "nexus_recommendation_fallthroughs", "Rungs that failed or ran late.", ("rung",), registry=self.registry
        )
        self.kept_answers = Counter(
            "nexus_kept_answers",
            "Recommendation answers, given again or made anew.",
            ("outcome",),
            registry=self.registry,
        )
        self.served = Counter("nexus_served_records", "Answers written down.", ("outcome",), registry=self.registry)
        self.events = Counter("nexus_events", "Events of requests.", ("outcome",), registry=self.registry)
        self.projected = Counter("nexus_events_projected", "Events copied to Postgres.", registry=self.registry)
        self.model = Gauge("nexus_model_info", "The model that is served.", ("version",), registry=self.registry)
        self.model_created = Gauge(
            "nexus_model_created_timestamp_seconds", "When the model that is served was made.", registry=self.registry
        )
        self.swaps = Counter("nexus_model_loads", "Looks at a new champion.", ("outcome",), registry=self.registry)
        self.titles = Gauge("nexus_catalogue_titles", "Titles that can be recommended.", registry=self.registry)
        self.vectors = Gauge("nexus_catalogue_vectors", "Titles with an embedding.", registry=self.registry)
        self.stream_entries = Gauge(
            "nexus_stream_entries", "Entries that wait for the drain.", ("stream",), registry=self.registry
        )
        self.stream_oldest = Gauge(
            "nexus_stream_oldest_seconds", "Age of the oldest of them.", ("stream",), registry=self.registry
        )
        self.projector_lag = Gauge(
            "nexus_projector_lag_seconds", "How far Postgres is behind the stream.", registry=self.registry
        )
        self.projector_pending = Gauge(
            "nexus_projector_pending", "Entries read for Postgres and not yet there.", registry=self.registry
        )

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count and time a request; ``path`` is its route's template."""
        key = (method if method in _METHODS else "(other)", path, status)
        found = self._of_request.get(key)
        if found is None:  # a label's lookup costs more than counting
            labels = self.requests.labels(key[0], path, str(status)), self.seconds.labels(path)
            found = self._of_request[key] = labels
        found[0].inc()
        found[1].observe(seconds)

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class Timed:
    """Counts and times each request under its route's template."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            path = getattr(scope.get("route"), "path", None) or "(none)"
            self.metrics.answered(scope["method"], path, status, perf_counter() - began)
