"""The API's layer of traces: what comes in is continued, what goes out says its id, no viewer's id is in a span."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from nexus import spans, telemetry
from nexus.errors import not_found
from nexus.settings import Settings, TelemetrySettings
from serving import problems
from serving.behind import Behind
from serving.metrics import Metrics, Timed
from serving.tracing import Traced

pytestmark = pytest.mark.unit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def _app(metrics: Metrics) -> FastAPI:
    app = Behind()
    app.put_behind(Traced)
    app.put_behind(Timed, metrics=metrics)
    problems.install(app)

    @app.get("/v1/users/{user_id:path}/recommendations")
    async def recommend(user_id: str) -> dict[str, str | None]:
        return {"trace": telemetry.trace_id(), "user": user_id}

    @app.post("/v1/content")
    async def ingest() -> dict[str, str | None]:
        return {"traceparent": telemetry.current_traceparent()}

    @app.get("/v1/missing")
    async def missing() -> None:
        raise not_found("there is none", field="x", value="y", remedy="z")

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("defect")

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {}

    return app


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> TestClient:
    return TestClient(_app(metrics), raise_server_exceptions=False)


@pytest.fixture(params=[0.0, 1.0], ids=["none-sampled", "all-sampled"])
def ratio(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[float]:
    told = TelemetrySettings(sample_ratio=request.param)
    traced = telemetry.configure(Settings(home=tmp_path, telemetry=told), "api")
    yield request.param
    traced.close()


def _kept(home: Path, trace: str) -> list[spans.Span]:
    telemetry.flush()
    return spans.read(home, trace)


def test_request__with_a_traceparent__continues_it(client: TestClient, ratio: float, tmp_path: Path) -> None:
    answer = client.get("/v1/users/imdb:7/recommendations", headers={"traceparent": PARENT})
    assert answer.headers["x-trace-id"] == TRACE == answer.json()["trace"]
    (span,) = _kept(tmp_path, TRACE)  # the caller has decided, whatever our ratio
    assert (span.parent, span.name) == ("00f067aa0ba902b7", "GET /v1/users/{user_id:path}/recommendations")
    assert "imdb" not in str(span)
    assert span.attributes["http.response.status_code"] == 200
    assert ratio in {0.0, 1.0}


def test_request__without_one__has_an_id_and_is_kept_by_ratio(client: TestClient, ratio: float, tmp_path: Path) -> None:
    answer = client.get("/v1/users/7/recommendations")
    trace = answer.headers["x-trace-id"]
    assert len(trace) == 32
    assert answer.json()["trace"] == trace
    assert len(_kept(tmp_path, trace)) == ratio


@pytest.mark.usefixtures("ratio")
def test_operation__always__is_kept(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/v1/content")
    trace = answer.headers["x-trace-id"]
    (span,) = _kept(tmp_path, trace)
    carried = telemetry.span_context(answer.json()["traceparent"])
    assert carried is not None
    assert (f"{carried.trace_id:032x}", f"{carried.span_id:016x}") == (trace, span.span)
    assert carried.trace_flags.sampled


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", "nonsense")],
        [("traceparent", PARENT), ("traceparent", PARENT)],
        [("traceparent", "00-" + "0" * 32 + "-00f067aa0ba902b7-01")],
        [("traceparent", "\xff" * 55)],
        [("traceparent", "a" * 7000)],
    ],
)
def test_request__broken_traceparent__begins_anew(client: TestClient, ratio: float, headers: list[tuple]) -> None:  # noqa: ARG001
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = client.get("/v1/users/7/recommendations", headers=raw)
    assert answer.status_code == 200
    assert answer.headers["x-trace-id"] not in {TRACE, "0" * 32}


@pytest.mark.parametrize(("path", "status"), [("/v1/missing", 404), ("/v1/broken", 500), ("/v1/nowhere", 404)])
def test_problem__of_any_kind__names_the_trace(
    client: TestClient, ratio: float, tmp_path: Path, path: str, status: int
) -> None:
    answer = client.get(path, headers={"traceparent": PARENT})
    assert answer.status_code == status
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"] == TRACE
    (span,) = _kept(tmp_path, TRACE)
    assert span.status == ("error" if status >= 500 else "unset")
    assert ratio in {0.0, 1.0}


def test_problem__process_not_configured__has_an_id_all_the_same(client: TestClient) -> None:
    answer = client.get("/v1/missing")
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"]


@pytest.mark.usefixtures("ratio")
def test_probe__never__is_traced(client: TestClient, tmp_path: Path) -> None:
    assert "x-trace-id" not in client.get("/health/live", headers={"traceparent": PARENT}).headers
    assert _kept(tmp_path, TRACE) == []


def test_figures__hostile_requests__make_no_new_series(client: TestClient, metrics: Metrics) -> None:
    def series() -> int:
        return sum(len(family.samples) for family in metrics.registry.collect())

    for method, path in (("GET", "/v1/users/0/recommendations"), ("GET", "/nowhere/0"), ("FOO0", "/v1/content")):
        client.request(method, path)
    before = series()
    for number in range(1, 200):
        client.get(f"/v1/users/{number}/recommendations")
        client.get(f"/nowhere/{number}")
        client.request(f"FOO{number}", "/v1/content")
    assert series() == before
