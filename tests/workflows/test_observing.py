"""The worker's figures, read as Prometheus reads them."""

from __future__ import annotations

import asyncio
import urllib.request

import pytest
import redis.asyncio
from temporalio.client import Client

from media.text.embedder import TextEmbedder
from nexus.db.pool import AsyncPool
from nexus.exporter.collect import serve
from nexus.runtime.ports import Wish, choose
from nexus.settings import Settings
from tests.workflows.conftest import until
from workflows import worker
from workflows.activities.content import ContentActivities
from workflows.activities.publish import PublishActivities
from workflows.client import connect, describe_operation, start_ingest
from workflows.messages import IngestRequest
from workflows.observing import Figures, runtime

pytestmark = pytest.mark.integration


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return answer.read().decode()


def _value(text: str, name: str, *labels: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(name) and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


async def test_worker__failed_workflow__is_in_its_figures_and_in_the_engines(
    platform: Settings, a_request: IngestRequest, pool: AsyncPool, streams: redis.asyncio.Redis, embedder: TextEmbedder
) -> None:
    ports = choose([Wish("metrics", 27_500), Wish("engine", 27_600)], {})
    told = platform.telemetry.model_copy(
        update={
            "metrics_port": ports["metrics"],
            "metrics_url": f"http://127.0.0.1:{ports['metrics']}/metrics",
            "engine_port": ports["engine"],
            "engine_url": f"http://127.0.0.1:{ports['engine']}/metrics",
        }
    )
    shown = platform.model_copy(update={"telemetry": told})
    client: Client = await connect(shown, runtime=runtime(shown))
    figures = Figures()
    await asyncio.to_thread(serve, shown, figures.registry)
    content = ContentActivities(pool, embedder)
    publish = PublishActivities(pool, streams)
    registered = (content.store, content.embed, content.similar, content.audience, publish.publish)
    async with worker.build(client, shown, registered, figures):
        operation_id = await start_ingest(client, shown, a_request.model_copy(update={"content_type": "gramophone"}))

        async def failed() -> bool:
            return (await describe_operation(client, operation_id)).state == "failed"

        await until(failed)
        text, engine = await asyncio.gather(
            asyncio.to_thread(_get, told.metrics_url or ""), asyncio.to_thread(_get, told.engine_url or "")
        )
    assert _value(text, "nexus_activity_attempts_total", 'activity="store_content"', 'outcome="failed"') == 1
    assert _value(text, "nexus_activity_queue_seconds_count", 'activity="store_content"') == 1
    assert _value(text, "nexus_exporter_source_up", 'source="postgres"') == 1
    assert _value(engine, "temporal_workflow_failed_total", 'workflow_type="IngestAnalyseRecommend"') == 1


async def test_runtime__port_is_taken__works_without_figures(platform: Settings) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    told = platform.telemetry.model_copy(update={"engine_port": port, "engine_url": "http://127.0.0.1/metrics"})
    assert runtime(platform.model_copy(update={"telemetry": told})) is None
    assert runtime(platform) is None
    server.close()
    await server.wait_closed()
