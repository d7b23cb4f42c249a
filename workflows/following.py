"""Following an operation in a terminal: a line for each change of a step, the result at the end.

Belongs here: the loop. Does not belong here: starting operations, printing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio.client import Client

from nexus.errors import Category, NexusError
from workflows.client import describe_operation
from workflows.messages import OperationError, Step, StepState

POLL_S = 0.3


async def followed(client: Client, operation_id: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Say each change of each step until the operation has ended; its result.

    Raises:
        NexusError: What it failed with; ``cancelled``.
    """
    told: dict[str, Step] = {}
    say(f"operation {operation_id}")
    while True:
        status = await describe_operation(client, operation_id)
        for step in status.steps:
            if step.state is not StepState.PENDING and told.get(step.name) != step:
                say(f"  {step.state:<10}{step.name:<10}{step.detail or ''}".rstrip())
                told[step.name] = step
        if status.state == "completed":
            return dict(status.result or {})
        if status.state != "running":
            raise _failed(operation_id, status.error)
        await asyncio.sleep(POLL_S)


def _failed(operation_id: str, error: OperationError | None) -> NexusError:
    if error is None:
        return NexusError(
            "the operation was stopped", category=Category.CANCELLED, field="operation_id", value=operation_id
        )
    return NexusError(
        error.message, category=Category(error.category), field=error.field, value=error.value, remedy=error.remedy
    )
