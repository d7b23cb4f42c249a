"""Spans: one trace id over borders, sampling, bounded files, a collector when there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus import rotating, spans, telemetry
from nexus.settings import Settings, TelemetrySettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-2] + "00"
Traced = Callable[..., telemetry.Telemetry]


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    opened: list[telemetry.Telemetry] = []

    def configure(**told: Any) -> telemetry.Telemetry:
        settings = Settings(home=tmp_path, telemetry=TelemetrySettings(**told))
        opened.append(telemetry.configure(settings, "test"))
        return opened[-1]

    yield configure
    for one in opened:
        one.close()


@pytest.mark.unit
def test_span__nested__is_kept_as_a_tree_with_redacted_attributes(traced: Traced, tmp_path: Path) -> None:
    traced()
    with telemetry.span("outer", url="redis://:hunter2@h/0", token="hunter2", rows=3, nothing=None):
        trace = telemetry.trace_id()
        with telemetry.span("inner"):
            pass
    telemetry.flush()
    assert trace is not None
    (root,) = spans.tree(spans.read(tmp_path, trace))
    assert (root.span.name, [child.span.name for child in root.children]) == ("outer", ["inner"])
    assert root.span.attributes == {"url": "redis://(hidden)@h/0", "token": "(hidden)", "rows": 3}
    assert root.duration_ns >= root.children[0].duration_ns > 0
    assert [span.name for span in spans.latest(tmp_path, 5)] == ["outer"]


@pytest.mark.unit
def test_span__that_fails__is_an_error_and_the_exception_goes_on(traced: Traced, tmp_path: Path) -> None:
    traced()
    with pytest.raises(ValueError, match="hunter2"), telemetry.attach(PARENT), telemetry.span("work"):
        raise ValueError("password=hunter2")
    telemetry.flush()
    (span,) = spans.read(tmp_path, TRACE)
    assert span.status == "error"
    assert "hunter2" not in str(span.attributes)
    assert "ValueError" in str(span.attributes["error"])


@pytest.mark.unit
def test_attach__traceparent__continues_that_trace(traced: Traced, tmp_path: Path) -> None:
    traced()
    with telemetry.attach(PARENT):
        assert telemetry.current_traceparent() == PARENT
        with telemetry.span("far"):
            carried = telemetry.current_traceparent()
            assert telemetry.run_tags() == {"nexus/traceparent": carried}
    telemetry.flush()
    (span,) = spans.read(tmp_path, TRACE)
    assert (span.trace, span.parent) == tuple(PARENT.split("-")[1:3])
    assert carried == f"00-{TRACE}-{span.span}-01"
    assert telemetry.current_traceparent() is None


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        PARENT.upper(),
        PARENT + "-00",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        "ff" + PARENT[2:],
        PARENT[:-1],
        " " + PARENT,
    ],
)
def test_attach__no_traceparent__begins_a_trace_of_its_own(traced: Traced, text: str | None) -> None:
    traced()
    with telemetry.attach(text), telemetry.span("work"):
        assert telemetry.trace_id() not in {None, TRACE}


@pytest.mark.unit
@given(st.text())
def test_span_context__any_text__never_fails(text: str) -> None:
    found = telemetry.span_context(text)
    assert found is None or found.is_valid


@pytest.mark.unit
@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_span_context__own_traceparent__comes_back(trace: int, span: int, is_sampled: bool) -> None:
    text = f"00-{trace:032x}-{span:016x}-{is_sampled:02x}"
    found = telemetry.span_context(text)
    assert found is not None
    assert telemetry.as_traceparent(found) == text


@pytest.mark.unit
@pytest.mark.parametrize(
    ("ratio", "parent", "is_kept"), [(0.0, None, True), (0.0, PARENT, True), (1.0, UNSAMPLED, False)]
)
def test_sampling__by_parent__decides_for_the_whole_trace(
    traced: Traced, tmp_path: Path, ratio: float, parent: str | None, is_kept: bool
) -> None:
    traced(sample_ratio=ratio)
    with telemetry.attach(parent), telemetry.span("root"):
        trace = telemetry.trace_id() or ""
        assert bool(telemetry.sampled_traceparent()) is is_kept
        with telemetry.span("child"):
            assert telemetry.trace_id() == trace
    telemetry.flush()
    assert len(spans.read(tmp_path, trace)) == (2 if is_kept else 0)


@pytest.mark.unit
def test_is_drawn__of_many__is_the_ratio(traced: Traced) -> None:
    assert not telemetry.is_drawn()
    traced(sample_ratio=0.25)
    drawn = sum(telemetry.is_drawn() for _ in range(4000))
    assert 800 < drawn < 1200


@pytest.mark.unit
def test_span__not_configured__carries_the_callers_id_and_keeps_nothing(tmp_path: Path) -> None:
    with telemetry.attach(PARENT), telemetry.span("work"):
        assert telemetry.trace_id() == TRACE
    assert not spans.folder(tmp_path).exists()


@pytest.mark.unit
def test_span__with_links__is_found_under_the_traces_it_worked_for(traced: Traced, tmp_path: Path) -> None:
    traced()
    with telemetry.span("drain", links=[PARENT, "nonsense", PARENT], rows=2):
        own = telemetry.trace_id()
    telemetry.flush()
    (span,) = spans.read(tmp_path, TRACE)
    assert (span.name, span.trace, span.links) == ("drain", own, (TRACE,))


@pytest.mark.unit
def test_tree__workflow_spans__stand_under_their_run_which_lasts_until_the_last_of_them() -> None:
    def span(number: int, parent: int | None, name: str, start: int, end: int, **attributes: str) -> spans.Span:
        ids = (f"{number:016x}", None if parent is None else f"{parent:016x}")
        return spans.Span("t", *ids, name, "worker", start, end, "unset", attributes)

    run = {"temporalRunID": "r"}
    found = [
        span(1, None, "POST /v1/content", 0, 10),
        span(2, 1, "StartWorkflow:W", 1, 9),
        span(3, 2, "RunWorkflow:W", 11, 11, **run),
        span(4, 2, "StartActivity:a", 12, 12, **run),
        span(5, 4, "RunActivity:a", 13, 50, **run),
        span(6, 2, "CompleteWorkflow:W", 60, 60, **run),
    ]
    (root,) = spans.tree(found)
    (start,) = root.children
    (workflow,) = start.children
    assert [child.span.name for child in workflow.children] == ["StartActivity:a", "CompleteWorkflow:W"]
    assert (workflow.duration_ns, workflow.children[0].duration_ns) == (49, 38)


@pytest.mark.unit
def test_files__many_spans_from_many_threads__stay_bounded_and_whole(tmp_path: Path) -> None:
    lines = rotating.RotatingLines(tmp_path / "x.jsonl", 10_000)
    with ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(lines.append, b"%06d " % number * 10 + b"\n")
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 10_000
    kept = list(rotating.read(tmp_path / "x.jsonl"))
    assert all(len(line) == 71 for line in kept)
    assert len(kept) >= 10_000 // 71


@pytest.mark.unit
def test_files__full_disk__loses_spans_and_nothing_else(
    traced: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: object, _lines: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rotating.RotatingLines, "append", full)
    traced()
    with telemetry.span("work"):
        done = True
    telemetry.flush()
    assert done
    assert spans.latest(tmp_path, 5) == []


@pytest.mark.unit
def test_read__line_cut_by_a_crash__is_left_out(traced: Traced, tmp_path: Path) -> None:
    traced()
    with telemetry.attach(PARENT), telemetry.span("whole"):
        pass
    telemetry.flush()
    with (spans.folder(tmp_path) / "test.jsonl").open("ab") as file:
        file.write(b'{"trace":"' + TRACE.encode() + b'", "span"\n{"trace":"' + TRACE.encode())
    assert [span.name for span in spans.read(tmp_path, TRACE)] == ["whole"]


@pytest.mark.integration
def test_otlp__endpoint_in_the_settings__gets_the_spans(traced: Traced) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        tracing = traced(otlp_endpoint=f"http://127.0.0.1:{server.server_port}", file_bytes=0)
        with telemetry.attach(PARENT), telemetry.span("sent"):
            pass
        tracing.flush()
    finally:
        server.shutdown()
        server.server_close()
    ((path, body),) = got
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), names["service.name"]) == ("sent", TRACE, "nexus-test")
