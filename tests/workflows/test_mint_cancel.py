"""A wish to cancel that crosses an activity's end is not lost, however the activity ends."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from nexus.settings import Settings
from nexus.temporal_names import MINT_WORKFLOW, web3_queue
from tests.workflows import record_web3
from workflows.activities import names
from workflows.client import cancel_operation, describe_operation
from workflows.messages import OperationStatus
from workflows.mint import MintMedia
from workflows.web3_messages import CallTask, MintRequest, TransactionView

pytestmark = pytest.mark.integration


def _stubborn(way: str, waits: asyncio.Event) -> object:
    @activity.defn(name=names.ADVANCE_CALL)
    async def advance(task: CallTask) -> TransactionView:
        if task.is_cancelling:
            return TransactionView(state="cancelled")
        if task.known is None:
            return TransactionView(state="blocked", detail="waits for funds")
        try:
            waits.set()
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            if way == "answers":
                return TransactionView(state="blocked", detail="waits for more funds")
            raise ApplicationError("nothing new", type="waiting") from None

    return advance


@pytest.mark.parametrize("way", ["answers", "fails"])
async def test_mint__cancelled_while_an_activity_ends_otherwise__is_cancelled_at_once(
    client: Client, platform: Settings, way: str
) -> None:
    waits, queue = asyncio.Event(), platform.temporal.task_queue
    others = [one for one in record_web3.WEB3_ACTIVITIES if one is not record_web3._advance]
    operation_id = f"mint-{uuid.uuid4()}"
    async with (
        Worker(client, task_queue=queue, workflows=[MintMedia], build_id="test"),
        Worker(client, task_queue=web3_queue(queue), activities=[*others, _stubborn(way, waits)], build_id="test"),  # type: ignore[list-item]
    ):
        await client.start_workflow(
            MINT_WORKFLOW, MintRequest(content_id=uuid.uuid4()), id=operation_id, task_queue=queue
        )
        await waits.wait()
        await cancel_operation(client, operation_id)
        async with asyncio.timeout(15):
            while (await _status(client, operation_id)).state == "running":  # noqa: ASYNC110 another process knows
                await asyncio.sleep(0.05)
        assert (await _status(client, operation_id)).state == "cancelled"


async def _status(client: Client, operation_id: str) -> OperationStatus:
    return await describe_operation(client, operation_id)
