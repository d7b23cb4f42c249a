"""One trace id from a request through workflow and activities, to the stream, the drain and a run of Dagster, and back."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import redis as sync_redis
import redis.asyncio
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from assets import tracing
from assets.adapters import temporal as asset_temporal
from nexus import logs, spans, telemetry
from nexus import temporal_names as names
from nexus.events import CONTENT_STREAM
from nexus.lake.drain import drain
from nexus.lake.lake import Lake
from nexus.settings import Settings
from tests.workflows.conftest import StartWorker, until
from tests.workflows.test_replay import HISTORIES, _history
from workflows import client as operations
from workflows.activities.registry import RegistryActivities
from workflows.client import describe_operation
from workflows.messages import IngestRequest, RegistryCommand
from workflows.worker import WORKFLOWS

pytestmark = pytest.mark.slow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
ACTIVITIES = {"store_content", "embed_content", "find_similar", "find_audience", "publish_content"}


@pytest.fixture(autouse=True)
def traced(tmp_path: Path) -> Iterator[Path]:
    """This process is traced into a folder of the test's own."""
    tracing_ = telemetry.configure(Settings(home=tmp_path), "test")
    yield tmp_path
    tracing_.close()


@pytest.fixture
async def client(platform: Settings, traced: Path) -> Client:  # noqa: ARG001 traced first: a client keeps its tracer
    return await operations.connect(platform)


def _names(home: Path, trace: str) -> list[str]:
    telemetry.flush()
    return [span.name for span in spans.read(home, trace) if span.trace == trace]


async def _ended(client: Client, operation_id: str) -> str:
    async def state() -> str | None:
        status = await describe_operation(client, operation_id)
        return status.state if status.state != "running" else None

    return await until(state)


@pytest.mark.usefixtures("library")
async def test_post_content__whole_way__is_one_trace(
    client: Client,
    platform: Settings,
    start_worker: StartWorker,
    streams: redis.asyncio.Redis,
    traced: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from serving.app import create_app

    monkeypatch.setattr("serving.state.feature_reader", lambda _settings: None)  # 10 s of imports that nobody asks for
    new = {"external_id": "wftest:traced", "title": "Robot Orbit", "content_type": "movie", "genres": ["Sci-Fi"]}
    app = create_app(platform)
    with logs.to_file(traced / "worker.log", part="worker"):
        async with app.router.lifespan_context(app), start_worker():
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://nexus") as http:
                answer = await http.post("/v1/content", json=new, headers={"traceparent": PARENT})
            assert answer.status_code == 202
            assert answer.headers["x-trace-id"] == TRACE
            assert await _ended(client, answer.json()["operation_id"]) == "completed"
    found = _names(traced, TRACE)
    assert {"POST /v1/content", "StartWorkflow:IngestAnalyseRecommend", "RunWorkflow:IngestAnalyseRecommend"} <= set(
        found
    )
    assert {name.partition(":")[2] for name in found if name.startswith("RunActivity:")} == ACTIVITIES
    (root,) = spans.tree(spans.read(traced, TRACE))
    assert root.span.parent == PARENT.split("-")[2]
    lines = (traced / "worker.log").read_text().splitlines()
    assert sum('"activity_ended"' in line and TRACE in line for line in lines) == len(ACTIVITIES)
    await _drained(platform, streams, traced)


async def _drained(platform: Settings, streams: redis.asyncio.Redis, home: Path) -> None:
    """The stream's entry says the trace, so the batch that takes it into the lake links to it."""
    entries = [fields for _, fields in await streams.xrange(CONTENT_STREAM) if b"traceparent" in fields]
    assert any(TRACE in fields[b"traceparent"].decode() for fields in entries)

    def run() -> None:
        with sync_redis.Redis.from_url(platform.redis.dsn()) as plain:
            lake = Lake.from_settings(platform.model_copy(update={"home": home}))
            drain(lake, plain, stream=CONTENT_STREAM, field="content", table="raw_nexus__titles")

    await asyncio.to_thread(run)
    telemetry.flush()
    linked = [span for span in spans.read(home, TRACE) if span.trace != TRACE]
    assert [(span.name, span.attributes["table"]) for span in linked] == [("drain", "raw_nexus__titles")]


GIVEN: dict[str, Any] = {}


@dg.asset
def asks_for_a_workflow(context: dg.AssetExecutionContext) -> None:
    """An asset that asks for a workflow and waits for it, as the champion does."""
    logs.get("test").info("asset_works")
    context.log.info("known to Dagster too")
    GIVEN["result"] = asset_temporal.start_and_wait(
        GIVEN["settings"],
        names.INGEST_WORKFLOW,
        workflow_id=GIVEN["id"],
        payload=GIVEN["request"].model_dump(mode="json"),
    )


@dg.asset(deps=[asks_for_a_workflow])
def breaks() -> None:
    raise RuntimeError("defect")


def job() -> dg.JobDefinition:
    chosen = dg.define_asset_job("traced")
    return dg.Definitions(
        assets=[asks_for_a_workflow, breaks], jobs=[chosen], executor=tracing.in_process()
    ).resolve_job_def("traced")


@pytest.mark.usefixtures("library")
async def test_run_of_dagster__with_the_tag__belongs_to_the_trace_and_so_does_the_workflow_it_starts(
    platform: Settings,
    start_worker: StartWorker,
    a_request: IngestRequest,
    traced: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(traced))
    operation_id = names.ingest_id(a_request.content_id, a_request.fingerprint())
    GIVEN.update(settings=platform, request=a_request, id=operation_id)

    def run() -> bool:
        with dg.instance_for_test() as instance, telemetry.attach(PARENT), telemetry.span("asks for a run"):
            tags = telemetry.run_tags()
            with telemetry.attach(PARENT.replace("4", "5")):  # the tag counts, not where the process was started
                done = dg.execute_job(dg.reconstructable(job), instance, tags=tags)
        return done.success

    async with start_worker():
        assert not await asyncio.to_thread(run)  # the second asset breaks
    assert GIVEN["result"]["content_id"] == str(a_request.content_id)
    found = _names(traced, TRACE)
    assert {"run traced", "step asks_for_a_workflow", "step breaks"} <= set(found)
    assert {name.partition(":")[2] for name in found if name.startswith("RunActivity:")} == ACTIVITIES
    nodes = {node.span.name: node for node in _flat(spans.tree(spans.read(traced, TRACE)))}
    (started,) = nodes["step asks_for_a_workflow"].children
    assert started.span.name == "StartWorkflow:IngestAnalyseRecommend"
    assert (nodes["step breaks"].span.status, nodes["run traced"].span.status) == ("error", "error")
    lines = (traced / "logs" / "runs.log").read_text().splitlines()
    said = [line for line in lines if '"asset_works"' in line]
    assert len(said) == 1
    assert TRACE in said[0]
    assert nodes["step asks_for_a_workflow"].span.span in said[0]


def _flat(nodes: list[spans.Node]) -> list[spans.Node]:
    return [found for node in nodes for found in (node, *_flat(node.children))]


def test_jobs__of_the_code_location__are_all_traced() -> None:
    from assets.definitions import build_defs

    executors = {found.name: found.executor_def for found in build_defs().resolve_all_job_defs()}
    assert executors
    plain = dg.in_process_executor.executor_creation_fn
    assert [name for name, executor in executors.items() if executor.executor_creation_fn is plain] == []


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_replay__old_history_with_tracing__is_deterministic_and_makes_no_span(path: Path, traced: Path) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        interceptors=[TracingInterceptor(telemetry.tracer(), always_create_workflow_spans=True)],
    )
    await replayer.replay_workflow(_history(path))
    telemetry.flush()
    assert not [span for span in spans.latest(traced, 50) if span.name.startswith("StartActivity")]


async def test_replay__history_made_with_tracing__is_deterministic_without(
    client: Client, platform: Settings, start_worker: StartWorker, a_request: IngestRequest
) -> None:
    with telemetry.attach(PARENT):
        operation_id = await operations.start_ingest(client, platform, a_request)
    async with start_worker():
        assert await _ended(client, operation_id) == "completed"
    history = await client.get_workflow_handle(operation_id).fetch_history()
    assert "_tracer-data" in history.to_json()
    await Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter).replay_workflow(history)


async def test_child_process__of_the_registry__hears_of_the_trace(platform: Settings) -> None:
    """The program in its place answers with the variable that it found."""
    script = "import os; print('{\"change\": \"%s\"}' % os.environ['TRACEPARENT'])"
    child = RegistryActivities(platform.home, (sys.executable, "-c", script))
    with telemetry.attach(PARENT):
        answer = await child._ask(RegistryCommand(action="promote", version="1", model_name="m", reason=""))
    assert answer == PARENT
