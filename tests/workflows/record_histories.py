"""Record the histories that test_replay.py replays: ``PYTHONPATH=. python tests/workflows/record_histories.py [NAME...]``.

Run it after a change of workflow code that is meant to change histories, and only once running workflows of the old
code have ended (or the change is behind ``workflow.patched``). A history holds what the workflow asked for, not what
activities did, so these are small functions under the real names, on a dev server that lives as long as the script.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import record_web3  # beside this script
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from nexus import temporal_names
from workflows.activities import names
from workflows.messages import (
    Approval,
    Audience,
    CancelRequest,
    ContentEvent,
    ContentKey,
    IngestRequest,
    NearestRequest,
    PromoteModelRequest,
    Published,
    RegistryChange,
    RegistryCommand,
    SimilarTitle,
    SimilarTitles,
    StoredContent,
    StoredVector,
    Viewer,
)
from workflows.worker import WORKFLOWS

FOLDER = Path(__file__).parent / "histories"
QUEUE = "recording"
ID = UUID("00000000-0000-4000-8000-000000000001")
_EMBEDDING = asyncio.Event()


@activity.defn(name=names.STORE_CONTENT)
async def _store(request: IngestRequest) -> StoredContent:
    if request.content_type == "gramophone":
        raise ApplicationError("unknown type of content", {"field": "content_type"}, type="invalid", non_retryable=True)
    return StoredContent(content_id=request.content_id, title=request.title, text_hash="h")


@activity.defn(name=names.EMBED_CONTENT)
async def _embed(key: ContentKey) -> StoredVector:
    if key.operation_id == "ingest-cancelled":
        _EMBEDDING.set()
        while True:
            activity.heartbeat("embedding")
            await asyncio.sleep(0.05)
    return StoredVector(content_id=key.content_id, model="m", text_hash="h")


@activity.defn(name=names.FIND_SIMILAR)
async def _similar(request: NearestRequest) -> SimilarTitles:
    return SimilarTitles(items=(SimilarTitle(content_id=request.content_id, title="Other", score=0.5),))


@activity.defn(name=names.FIND_AUDIENCE)
async def _audience(request: NearestRequest) -> Audience:
    return Audience(items=(Viewer(user_id=request.content_id, score=0.5),))


@activity.defn(name=names.PUBLISH_CONTENT)
async def _publish(event: ContentEvent) -> Published:
    return Published(is_new=event.run_id != "")


@activity.defn(name=names.CHANGE_REGISTRY)
async def _change(command: RegistryCommand) -> RegistryChange:
    return RegistryChange(champion=command.version, previous="1")


ACTIVITIES = (_store, _embed, _similar, _audience, _publish, _change)


async def _ingest(client: Client, name: str, content_type: str = "movie") -> WorkflowHandle:
    request = IngestRequest(content_id=ID, title="Toy Story", content_type=content_type, year=1995)
    return await client.start_workflow(temporal_names.INGEST_WORKFLOW, request, id=name, task_queue=QUEUE)


async def _promote(client: Client, name: str, *, wait_s: float | None = None) -> WorkflowHandle:
    request = PromoteModelRequest(version="2", require_approval=wait_s is not None, approval_timeout_s=wait_s or 60)
    return await client.start_workflow(temporal_names.PROMOTE_WORKFLOW, request, id=name, task_queue=QUEUE)


async def _cancelled(client: Client) -> WorkflowHandle:
    handle = await _ingest(client, "ingest-cancelled")
    await _EMBEDDING.wait()
    await handle.execute_update(temporal_names.CANCEL_UPDATE, CancelRequest(reason="r"))
    return handle


async def _decided(client: Client, name: str, *, approved: bool) -> WorkflowHandle:
    handle = await _promote(client, name, wait_s=60)
    await handle.execute_update(temporal_names.APPROVE_UPDATE, Approval(approved=approved, by="owner"))
    return handle


CASES: dict[str, Callable[[Client], Awaitable[WorkflowHandle]]] = {
    "ingest-completed": lambda client: _ingest(client, "ingest-completed"),
    "ingest-refused": lambda client: _ingest(client, "ingest-refused", "gramophone"),
    "ingest-cancelled": _cancelled,
    "promote-completed": lambda client: _promote(client, "promote-completed"),
    "promote-approved": lambda client: _decided(client, "promote-approved", approved=True),
    "promote-rejected": lambda client: _decided(client, "promote-rejected", approved=False),
    "promote-expired": lambda client: _promote(client, "promote-expired", wait_s=0.1),
    **record_web3.CASES,
}


def _impersonal(history: str) -> str:
    """Without the names and paths of the machine that it was recorded on; none of them matters to a replay."""
    without_host = re.sub(r'("identity": )"[^"]*"', r'\1"recording"', history)
    return re.sub(r'("stackTrace": )"(?:[^"\\]|\\.)*"', r'\1""', without_host)


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    server = shutil.which("temporal", path=os.path.dirname(sys.executable))  # noqa: PTH120 no symlink is followed
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=server, data_converter=pydantic_data_converter
        ) as environment,
        Worker(
            environment.client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=[*ACTIVITIES, *record_web3.KEY_ACTIVITIES],
            build_id="recording",
            max_heartbeat_throttle_interval=timedelta(milliseconds=50),
            default_heartbeat_throttle_interval=timedelta(milliseconds=50),
        ),
        Worker(
            environment.client,
            task_queue=record_web3.QUEUE,
            activities=record_web3.WEB3_ACTIVITIES,
            build_id="recording",
        ),
    ):
        for name, case in CASES.items():
            if len(sys.argv) > 1 and name not in sys.argv[1:]:
                continue
            handle = await case(environment.client)
            with contextlib.suppress(WorkflowFailureError):
                await handle.result()
            history = await handle.fetch_history()
            (FOLDER / f"{name}.json").write_text(_impersonal(history.to_json()) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
