"""What other processes ask of workflows: start, describe, cancel, promote, roll back, approve.

Belongs here: the calls of the API and of the CLI, in terms of messages and NexusErrors.
Does not belong here: how the workflows work, and how a connection is made (workflows.connection).

Ids and repetition. An ingest operation's id is ``ingest-<content_id>-<hash of the request>``. Asked again while it
runs, it is joined; asked again after it ended, it runs again under the same id (every step is an upsert, so this
refreshes the answer and mends what was lost; and a title changed from A to B and back to A ends as A). Another
request for the same title is another operation; the vector is always made from the text that is stored, so two of
them side by side end with the text and the vector of the same one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.service import RPCError

from nexus import temporal_names as names
from nexus.errors import Category, NexusError, not_found, unavailable
from nexus.settings import Settings
from training.bundle_format import read_pointer
from workflows.connection import RPC_TIMEOUT, answering, connect, unknown_operation
from workflows.errors import CANCELLED_TYPE, to_nexus_error
from workflows.messages import (
    Acknowledged,
    Approval,
    CancelRequest,
    IngestRequest,
    OperationError,
    OperationState,
    OperationStatus,
    PromoteModelRequest,
    PromoteModelResult,
    Step,
)
from workflows.web3_client import KINDS as WEB3_KINDS
from workflows.web3_client import start_mint, start_proposal, start_rotate_keys, start_rotate_signer, start_royalties

__all__ = [
    "approve",
    "cancel_operation",
    "connect",
    "describe_operation",
    "ping",
    "run_promote",
    "run_rollback",
    "start_ingest",
    "start_mint",
    "start_proposal",
    "start_rotate_keys",
    "start_rotate_signer",
    "start_royalties",
]

PING_TIMEOUT = timedelta(seconds=2)
UPDATE_TIMEOUT = timedelta(seconds=10)
PROMOTION_PATIENCE_S = 600.0
_PROMOTIONS = ("promote-", "rollback-")
_KINDS = ("ingest-", *_PROMOTIONS, *WEB3_KINDS)
_STEPS: TypeAdapter[tuple[Step, ...]] = TypeAdapter(tuple[Step, ...])
_STATES: dict[WorkflowExecutionStatus, OperationState] = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TERMINATED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "failed",
}


async def ping(client: Client) -> None:
    """Find out whether the engine answers.

    Raises:
        NexusError: ``unavailable`` when it does not.
    """
    try:
        await client.service_client.check_health(timeout=PING_TIMEOUT)
    except (RPCError, RuntimeError) as error:  # RuntimeError: a lazy connection that can't be made
        raise unavailable(
            "Temporal does not answer", remedy="see bin/nexus status and bin/nexus logs temporal"
        ) from error


async def start_ingest(client: Client, settings: Settings, request: IngestRequest) -> str:
    """Start (or join) the operation that takes this title in.

    Returns:
        Its id, for :func:`describe_operation`.
    """
    operation_id = names.ingest_id(request.content_id, request.fingerprint())
    await _start(client, settings, names.INGEST_WORKFLOW, request, operation_id)
    return operation_id


async def describe_operation(client: Client, operation_id: str) -> OperationStatus:
    """How an operation is doing; needs the engine, but no worker.

    Raises:
        NexusError: ``not_found`` for an id that is not known, ``unavailable`` when the engine is away.
    """
    if not operation_id.startswith(_KINDS):
        raise unknown_operation(operation_id)
    handle = client.get_workflow_handle(operation_id)
    with answering(operation_id):
        description = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        pinned = client.get_workflow_handle(operation_id, run_id=description.run_id)
        state = _STATES[description.status or WorkflowExecutionStatus.RUNNING]
        steps = await _steps(description)
        result: dict[str, Any] | None = None
        error: OperationError | None = None
        if state != "running":
            try:
                result = await pinned.result(follow_runs=False, rpc_timeout=RPC_TIMEOUT)
            except WorkflowFailureError as failure:
                state, error = _failure(state, failure)
    return OperationStatus(
        operation_id=operation_id,
        state=state,
        steps=steps,
        result=result,
        error=error,
        started_at=description.start_time,
        finished_at=description.close_time,
    )


async def cancel_operation(client: Client, operation_id: str, reason: str = "") -> None:
    """Ask an operation to stop; it ends in a consistent state (see workflows.ingest).

    Raises:
        NexusError: ``not_found``; ``conflict`` when it has ended or can no longer be stopped; ``unavailable``.
    """
    if not operation_id.startswith(_KINDS):
        raise unknown_operation(operation_id)
    await _update(client, operation_id, names.CANCEL_UPDATE, CancelRequest(reason=reason[:500]))


async def run_promote(settings: Settings, version: str, reason: str) -> dict[str, Any]:
    """Make a version the champion and wait for the end, or for the point where a person must approve.

    Returns:
        ``{"workflow_id", "outcome": "done|rejected|expired|waiting_for_approval", "action", "version", ...}``.
    """
    return await _run_promotion(settings, version, reason, action="promote")


async def run_rollback(settings: Settings, reason: str) -> dict[str, Any]:
    """Take the champion back to the previous version; returns as :func:`run_promote` does."""
    champion = await asyncio.to_thread(read_pointer, settings.bundle_url)
    if champion is None:
        raise not_found(
            "no model is champion, so there is nothing to roll back",
            field="champion",
            value=settings.bundle_url,
            remedy="promote a version first: bin/nexus models promote VERSION",
        )
    return await _run_promotion(settings, champion, reason, action="rollback")


async def approve(settings: Settings, workflow_id: str, approved: bool, by: str) -> dict[str, Any]:
    """Give a person's word to a promotion that waits for it, and wait for what follows."""
    client = await connect(settings)
    if not workflow_id.startswith(_PROMOTIONS):
        raise unknown_operation(workflow_id)
    await _update(client, workflow_id, names.APPROVE_UPDATE, Approval(approved=approved, by=by))
    return await _promotion_end(client, workflow_id)


async def _run_promotion(settings: Settings, version: str, reason: str, *, action: names.Action) -> dict[str, Any]:
    model = settings.mlflow.model_name
    make_id = names.promote_id if action == "promote" else names.rollback_id
    workflow_id = make_id(model, version)
    request = PromoteModelRequest(
        version=version,
        reason=reason[:2000],
        require_approval=settings.training.require_approval,
        action=action,
        model_name=model,
    )
    client = await connect(settings)
    await _start(client, settings, names.PROMOTE_WORKFLOW, request, workflow_id)
    if request.require_approval:
        waiting = {"outcome": "waiting_for_approval", "action": action, "version": version}
        return {"workflow_id": workflow_id, **waiting}
    return await _promotion_end(client, workflow_id)


async def _promotion_end(client: Client, workflow_id: str) -> dict[str, Any]:
    handle = client.get_workflow_handle(workflow_id, result_type=PromoteModelResult)
    try:
        with answering(workflow_id):
            async with asyncio.timeout(PROMOTION_PATIENCE_S):
                result = await handle.result()
    except WorkflowFailureError as failure:
        raise to_nexus_error(failure.cause) from failure
    except TimeoutError as error:
        raise NexusError(
            "the promotion is still running",
            category=Category.TIMEOUT,
            field="workflow_id",
            value=workflow_id,
            remedy="it goes on by itself; see bin/nexus logs worker and the Temporal page",
        ) from error
    return {"workflow_id": workflow_id, **result.model_dump(mode="json")}


async def _start(client: Client, settings: Settings, workflow: str, request: Any, workflow_id: str) -> None:
    with answering(workflow_id):
        await client.start_workflow(
            workflow,
            request,
            id=workflow_id,
            task_queue=settings.temporal.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            rpc_timeout=RPC_TIMEOUT,
        )


async def _update(client: Client, workflow_id: str, update: str, argument: Any) -> None:
    handle = client.get_workflow_handle(workflow_id)
    try:
        with answering(workflow_id):
            await handle.execute_update(update, argument, result_type=Acknowledged, rpc_timeout=UPDATE_TIMEOUT)
    except WorkflowUpdateFailedError as error:
        raise to_nexus_error(error.cause) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise unavailable("no worker answers", remedy="try again; see bin/nexus status, part worker") from error
    except NexusError as error:
        if error.category is Category.NOT_FOUND and await _exists(client, workflow_id):
            raise already_ended(workflow_id) from error
        raise


async def _exists(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError:
        return False
    return True


def already_ended(workflow_id: str) -> NexusError:
    """The error for a message to an operation that is over."""
    return NexusError(
        "the operation has ended",
        category=Category.CONFLICT,
        field="operation_id",
        value=workflow_id,
        remedy="start it again if you want it to run again",
    )


async def _steps(description: WorkflowExecutionDescription) -> tuple[Step, ...]:
    memo = await description.memo()
    return _STEPS.validate_python(memo.get(names.STEPS_MEMO, ()))


def _failure(state: OperationState, failure: WorkflowFailureError) -> tuple[OperationState, OperationError]:
    cause = failure.cause
    if isinstance(cause, ApplicationError) and cause.type == CANCELLED_TYPE:
        state = "cancelled"
    known = to_nexus_error(cause if isinstance(cause, FailureError) else None)
    facts = {name: fact for name, fact in known.as_dict().items() if name in OperationError.model_fields}
    return state, OperationError(**facts)
