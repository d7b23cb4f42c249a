"""What survives a death: of the worker in the middle of a step, of a message delivered twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import redis.asyncio
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from media.text.embedder import MODEL_NAME, TextEmbedder
from nexus.db.pool import AsyncPool, connect
from nexus.events import CONTENT_STREAM
from nexus.settings import ROOT, Settings
from tests.workflows.conftest import until
from workflows.activities.content import ContentActivities
from workflows.activities.publish import PublishActivities
from workflows.client import describe_operation, start_ingest
from workflows.messages import ContentEvent, ContentKey, IngestRequest, NearestRequest, StepState

pytestmark = pytest.mark.integration


@asynccontextmanager
async def _worker_process(settings: Settings, log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A real worker with the settings of this test."""
    environment = os.environ | {
        "NEXUS_HOME": str(settings.home),
        "NEXUS_POSTGRES__URL": settings.postgres.owner_url(driver=""),
        "NEXUS_POSTGRES__ROLE_PASSWORDS": (
            '{"worker": "' + settings.postgres.role_passwords["worker"].get_secret_value() + '"}'
        ),
        "NEXUS_REDIS__URL": settings.redis.dsn(),
        "NEXUS_TEMPORAL__ADDRESS": settings.temporal.address or "",
        "NEXUS_TEMPORAL__TASK_QUEUE": settings.temporal.task_queue,
    }
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 returns at once
            [sys.executable, "-m", "workflows.worker"], cwd=ROOT, env=environment, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait, 10)


async def _polls(client: Client, queue: str) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return bool(answer.pollers)


@pytest.mark.usefixtures("embedder")
async def test_worker__killed_in_the_middle_of_a_step__another_one_completes_and_stops_when_told(
    client: Client, platform: Settings, a_request: IngestRequest, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with connect(platform, "owner") as locker:
        async with _worker_process(platform, log) as first:
            locker.execute("begin; lock table nexus_ai.embeddings in access exclusive mode")
            operation_id = await start_ingest(client, platform, a_request)
            await until(lambda: _waits_for_lock(locker))
            status = await describe_operation(client, operation_id)
            assert {s.name: s.state for s in status.steps}["embed"] is StepState.RUNNING
            first.send_signal(signal.SIGKILL)
            await asyncio.to_thread(first.wait, 10)
            assert (await describe_operation(client, operation_id)).state == "running"
        locker.execute("rollback")
        async with _worker_process(platform, log) as second:

            async def completed() -> bool:
                return (await describe_operation(client, operation_id)).state == "completed"

            await until(completed, patience_s=40)
            assert await _polls(client, platform.temporal.task_queue)
            second.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(second.wait, 15) == 0
    assert b"Traceback" not in log.read_bytes()


async def _waits_for_lock(connection: psycopg.Connection) -> bool:
    row = connection.execute("select exists (select from pg_locks where not granted)").fetchone()
    return bool(row and row[0])


async def test_activities__delivered_twice__leave_what_once_leaves(
    pool: AsyncPool, streams: redis.asyncio.Redis, embedder: TextEmbedder, a_request: IngestRequest
) -> None:
    environment = ActivityEnvironment()
    content, publish = ContentActivities(pool, embedder), PublishActivities(pool, streams)
    key = ContentKey(content_id=a_request.content_id, operation_id="test-twice", run_id=str(a_request.content_id))
    near = NearestRequest(content_id=a_request.content_id, limit=3)
    event = ContentEvent(
        operation_id="test-twice",
        run_id=str(a_request.content_id),
        content_id=a_request.content_id,
        state="ingested",
        occurred_at="2026-01-01T00:00:00Z",
    )
    before = await streams.xlen(CONTENT_STREAM)
    calls = [
        (content.store, a_request),
        (content.embed, key),
        (content.similar, near),
        (content.audience, near),
    ]
    for activity, argument in calls:
        assert await environment.run(activity, argument) == await environment.run(activity, argument)
    assert [(await environment.run(publish.publish, event)).is_new for _ in range(2)] == [True, False]
    assert await streams.xlen(CONTENT_STREAM) == before + 1
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select (select count(*) from nexus_core.content where id = %(id)s),"
            " (select count(*) from nexus_core.content_external_ids where content_id = %(id)s),"
            " (select count(*) from nexus_ai.embeddings where content_id = %(id)s and model = %(model)s)",
            {"id": a_request.content_id, "model": MODEL_NAME},
        )
        assert await cursor.fetchone() == (1, 1, 1)
