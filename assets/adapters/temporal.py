"""The one way for an asset to start a workflow.

Belongs here: start by name, wait, translate. Does not belong here: what workflows do (workflows), their names
(nexus.temporal_names). Assets do not import workflows: they are siblings.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from nexus import telemetry
from nexus.errors import Category, NexusError, unavailable
from nexus.settings import Settings, not_started

CONNECT_TIMEOUT = timedelta(seconds=10)
WAIT_S = 600.0


def start_and_wait(
    settings: Settings,
    workflow: str,
    *,
    workflow_id: str,
    payload: dict[str, object],
    wait_s: float = WAIT_S,
) -> dict[str, Any]:
    """Start a workflow, or join it when it runs already, and wait for its result.

    Raises:
        NexusError: ``unavailable`` when Temporal does not answer, ``timeout`` when it takes too long, else what failed it.
    """
    return asyncio.run(_start_and_wait(settings, workflow, workflow_id, payload, wait_s))


def start(settings: Settings, workflow: str, *, workflow_id: str, payload: dict[str, object]) -> None:
    """Start a workflow, or join it, without waiting."""
    asyncio.run(_start(settings, workflow, workflow_id, payload))


async def _start(settings: Settings, workflow: str, workflow_id: str, payload: dict[str, object]) -> Any:
    from temporalio.client import Client
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
    from temporalio.contrib.opentelemetry import TracingInterceptor
    from temporalio.service import RPCError

    from assets.adapters.payloads import data_converter

    address = settings.temporal.address
    if address is None:
        raise not_started("temporal")
    try:
        client = await Client.connect(
            address,
            namespace=settings.temporal.namespace,
            connect_timeout=CONNECT_TIMEOUT,
            interceptors=[TracingInterceptor(telemetry.tracer())],
            data_converter=data_converter(settings),
        )
        return await client.start_workflow(
            workflow,
            payload,
            id=workflow_id,
            task_queue=settings.temporal.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    except (RuntimeError, RPCError) as error:
        raise unavailable(
            "Temporal does not answer",
            remedy="run bin/nexus status; bin/nexus logs temporal says why",
            field="temporal.address",
            workflow_id=workflow_id,
            cause=str(error)[:200],
        ) from error


async def _start_and_wait(
    settings: Settings, workflow: str, workflow_id: str, payload: dict[str, object], wait_s: float
) -> dict[str, Any]:
    from temporalio.client import WorkflowFailureError

    handle = await _start(settings, workflow, workflow_id, payload)
    try:
        async with asyncio.timeout(wait_s):
            result: dict[str, Any] = await handle.result()
    except TimeoutError as error:
        raise NexusError(
            "the workflow is still running",
            category=Category.TIMEOUT,
            field="workflow_id",
            value=workflow_id,
            remedy="it goes on by itself; see bin/nexus logs worker and the Temporal page",
        ) from error
    except WorkflowFailureError as error:
        raise NexusError(
            f"the workflow failed: {error.cause}",
            category=Category.INTERNAL,
            field="workflow_id",
            value=workflow_id,
            remedy="see bin/nexus logs worker and the Temporal page",
        ) from error
    return result
