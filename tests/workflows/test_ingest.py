"""IngestAnalyseRecommend on the real engine, database, stream and model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import orjson
import pytest
import redis.asyncio
from temporalio.client import Client

from nexus.db.content import ContentRecord, find_content
from nexus.db.pool import AsyncPool
from nexus.errors import Category, NexusError
from nexus.events import CONTENT_STREAM
from nexus.settings import Settings
from nexus.temporal_names import CONTENT_CHANNEL, PROGRESS_QUERY
from tests.workflows.conftest import SPACE, StartWorker, until, viewer_id
from workflows import client as operations
from workflows.client import cancel_operation, connect, describe_operation, start_ingest
from workflows.messages import IngestRequest, OperationStatus, Progress

pytestmark = pytest.mark.integration


class GatedEmbedder:
    """Blocks until it is let go: stands for a model that takes long."""

    def __init__(self) -> None:
        self.entered, self.gate = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.entered.set()
        self.gate.wait(20)
        return np.full((len(texts), 384), 384**-0.5, dtype=np.float32)


async def _end(client: Client, operation_id: str) -> OperationStatus:
    async def ended() -> OperationStatus | None:
        status = await describe_operation(client, operation_id)
        return status if status.state != "running" else None

    return await until(ended)


def _states(status: OperationStatus) -> dict[str, str]:
    return {step.name: str(step.state) for step in status.steps}


async def _published(streams: redis.asyncio.Redis, request: IngestRequest) -> list[dict]:
    events = [orjson.loads(fields[b"content"]) for _, fields in await streams.xrange(CONTENT_STREAM)]
    return [event for event in events if event["content_id"] == str(request.content_id)]


@pytest.mark.usefixtures("library")
async def test_ingest__new_title__is_stored_and_finds_its_audience(
    client: Client,
    platform: Settings,
    pool: AsyncPool,
    streams: redis.asyncio.Redis,
    start_worker: StartWorker,
    a_request: IngestRequest,
) -> None:
    async with streams.pubsub() as listener:
        await listener.subscribe(CONTENT_CHANNEL)
        async with start_worker():
            operation_id = await start_ingest(client, platform, a_request)
            status = await _end(client, operation_id)
            progress = await client.get_workflow_handle(operation_id).query(PROGRESS_QUERY, result_type=Progress)
        heard = await until(lambda: _heard(listener))
    assert operation_id == f"ingest-{a_request.content_id}-{a_request.fingerprint()}"
    assert (status.state, status.error) == ("completed", None)
    assert set(_states(status).values()) == {"completed"}
    assert progress.steps == status.steps
    result = status.result or {}
    assert result["content_id"] == str(a_request.content_id)
    assert {item["title"] for item in result["similar"]} <= set(SPACE) | {"Starship Mutiny"}
    assert len(result["similar"]) == 5
    assert [a["score"] for a in result["similar"]] == sorted((a["score"] for a in result["similar"]), reverse=True)
    viewers = [item["user_id"] for item in result["audience"]]
    assert set(viewers[:3]) == {str(viewer_id(f"space-{n}")) for n in range(3)}
    assert str(viewer_id("private")) not in viewers
    async with pool.connection() as connection:
        record = await find_content(connection, a_request.content_id)
    assert record is not None
    assert record.title == "Starship Mutiny"
    (event,) = await _published(streams, a_request)
    assert (event["operation"]["operation_id"], event["operation"]["state"]) == (operation_id, "ingested")
    assert ContentRecord.model_validate({k: v for k, v in event.items() if k != "operation"}) == record
    assert heard == str(a_request.content_id)


async def _heard(listener: redis.asyncio.client.PubSub) -> str | None:
    message = await listener.get_message(ignore_subscribe_messages=True, timeout=0.1)
    return message["data"].decode() if message else None


async def test_ingest__same_request_while_it_runs__is_joined_and_steps_are_told_without_a_worker(
    client: Client, platform: Settings, start_worker: StartWorker, a_request: IngestRequest
) -> None:
    first = await start_ingest(client, platform, a_request)
    run = (await client.get_workflow_handle(first).describe()).run_id
    assert await start_ingest(client, platform, a_request) == first
    assert (await client.get_workflow_handle(first).describe()).run_id == run
    assert (await describe_operation(client, first)).state == "running"
    async with start_worker():
        await _end(client, first)
    status = await describe_operation(client, first)
    assert (status.state, len(status.steps)) == ("completed", 5)
    changed = a_request.model_copy(update={"title": "Another name"})
    assert await start_ingest(client, platform, changed) != first


@pytest.mark.parametrize(
    ("change", "field"),
    [({"content_type": "gramophone"}, "content_type"), ({"title": "a\0b"}, None), ({"year": 1800}, "year")],
)
async def test_ingest__refused_title__fails_at_once_and_says_why(
    client: Client,
    platform: Settings,
    start_worker: StartWorker,
    a_request: IngestRequest,
    change: dict[str, object],
    field: str | None,
) -> None:
    async with start_worker():
        operation_id = await start_ingest(client, platform, a_request.model_copy(update=change))
        status = await _end(client, operation_id)
    assert status.state == "failed"
    assert status.error is not None
    assert status.error.category == "invalid"
    assert status.error.field == field or field is None
    assert _states(status)["store"] == "failed"
    assert _states(status)["publish"] == "cancelled"


async def test_cancel__while_embedding__stops_and_leaves_a_stored_title_that_serving_knows_of(
    client: Client,
    platform: Settings,
    pool: AsyncPool,
    streams: redis.asyncio.Redis,
    start_worker: StartWorker,
    a_request: IngestRequest,
) -> None:
    slow = GatedEmbedder()
    async with start_worker(embedder=slow):
        operation_id = await start_ingest(client, platform, a_request)
        await until(_is_set(slow.entered))
        await cancel_operation(client, operation_id, "changed my mind")
        status = await _end(client, operation_id)
        slow.gate.set()
    assert status.state == "cancelled"
    assert _states(status) == {
        "store": "completed",
        "embed": "cancelled",
        "similar": "cancelled",
        "audience": "cancelled",
        "publish": "cancelled",
    }
    async with pool.connection() as connection:
        assert await find_content(connection, a_request.content_id) is not None
    assert [event["operation"]["state"] for event in await _published(streams, a_request)] == ["stored"]
    with pytest.raises(NexusError) as refused:
        await cancel_operation(client, operation_id)
    assert refused.value.category is Category.CONFLICT


def _is_set(event: threading.Event):
    async def ask() -> bool:
        return event.is_set()

    return ask


@pytest.mark.parametrize("operation_id", ["ingest-nobody-knows", "no-such-kind", "x" * 2000])
async def test_operation__unknown_id__is_not_found(client: Client, operation_id: str) -> None:
    for call in (describe_operation, cancel_operation):
        with pytest.raises(NexusError) as missing:
            await call(client, operation_id)
        assert missing.value.category is Category.NOT_FOUND
        assert missing.value.field == "operation_id"


@pytest.mark.parametrize("lazy", [True, False])
async def test_operation__engine_away__is_unavailable(platform: Settings, a_request: IngestRequest, lazy: bool) -> None:
    nobody = platform.temporal.model_copy(update={"address": "127.0.0.1:9"})
    away = platform.model_copy(update={"temporal": nobody})
    with pytest.raises(NexusError) as refused:
        await start_ingest(await connect(away, lazy=lazy), away, a_request)
    assert refused.value.category is Category.UNAVAILABLE
    with pytest.raises(NexusError) as unset:
        await connect(platform.model_copy(update={"temporal": nobody.model_copy(update={"address": None})}))
    assert unset.value.field == "temporal.url"


async def test_cancel__no_worker__is_unavailable_and_the_operation_goes_on(
    client: Client, platform: Settings, a_request: IngestRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "UPDATE_TIMEOUT", timedelta(seconds=0.5))
    operation_id = await start_ingest(client, platform, a_request)
    with pytest.raises(NexusError) as refused:
        await cancel_operation(client, operation_id)
    assert refused.value.category is Category.UNAVAILABLE
    assert (await describe_operation(client, operation_id)).state == "running"
