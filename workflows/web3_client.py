"""What other processes ask of minting, royalties, proposals and keys: start, join; the rest is workflows.client's.

The same title is the same operation: while it runs it is joined, once it completed it is the same operation with the
same result, and after a failure it may be tried again under the same id. Rotations run again once they ended.
Does not belong here: how the workflows work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from nexus import temporal_names as names
from nexus.errors import Category, NexusError, invalid
from nexus.settings import Settings
from workflows.connection import RPC_TIMEOUT, answering
from workflows.errors import to_nexus_error
from workflows.key_messages import RotateKeysRequest, RotateSignerRequest
from workflows.web3_messages import MintRequest, ProposalRequest, RoyaltiesRequest

KINDS = ("mint-", "royalties-", "proposal-", "rotate-signer", "rotate-keys-")
PATIENCE_S = 600.0


async def start_mint(
    client: Client, settings: Settings, content_id: UUID, to: str | None = None, royalty_bps: int | None = None
) -> str:
    """Start, join or find the operation that mints this title.

    Returns:
        Its id, for :func:`workflows.client.describe_operation`.

    Raises:
        NexusError: ``invalid`` for a royalty above 100 % or an address that is none; ``conflict`` where there is no
            chain; ``unavailable``.
    """
    check_enabled(settings)
    request = _checked(MintRequest, content_id=content_id, to=to, royalty_bps=royalty_bps)
    return await _start(client, settings, names.MINT_WORKFLOW, request, names.mint_id(content_id), is_once=True)


async def start_royalties(client: Client, settings: Settings, number: str, tokens: Sequence[str] = ()) -> str:
    """Start, join or find a distribution of royalties; the same number pays nobody twice.

    Args:
        client: Of the engine.
        settings: Of the platform.
        number: Names the distribution.
        tokens: ERC-20 tokens that are paid out beside the native coin.
    """
    check_enabled(settings)
    lower = tuple(token.lower() for token in tokens)
    request = _checked(RoyaltiesRequest, number=number, tokens=lower)
    workflow_id = names.royalties_id(number)
    return await _start(client, settings, names.ROYALTIES_WORKFLOW, request, workflow_id, is_once=True)


async def start_proposal(client: Client, settings: Settings, number: int | str) -> str:
    """Start, join or find the execution of a proposal that was passed."""
    check_enabled(settings)
    request = _checked(ProposalRequest, proposal_id=str(number))
    return await _start(client, settings, names.PROPOSAL_WORKFLOW, request, names.proposal_id(number), is_once=True)


async def start_rotate_signer(client: Client, settings: Settings, address: str | None = None) -> str:
    """Start (or join) the replacement of a minting key: this one, or the one in use longest."""
    check_enabled(settings)
    request = _checked(RotateSignerRequest, address=None if address is None else address.lower())
    return await _start(client, settings, names.ROTATE_SIGNER_WORKFLOW, request, names.rotate_signer_id())


async def start_rotate_keys(client: Client, settings: Settings, reason: str = "") -> str:
    """Start (or join) a change of the keyring's active key."""
    request = _checked(RotateKeysRequest, reason=reason[:500])
    return await _start(client, settings, names.ROTATE_KEYS_WORKFLOW, request, names.rotate_keys_id())


async def wait_for(client: Client, operation_id: str, *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """The result of an operation, once there is one.

    Raises:
        NexusError: What it failed with; ``timeout`` while it is still running.
    """
    handle = client.get_workflow_handle(operation_id)
    try:
        with answering(operation_id):
            async with asyncio.timeout(patience_s):
                result: dict[str, Any] = await handle.result()
    except WorkflowFailureError as failure:
        raise to_nexus_error(failure.cause) from failure
    except TimeoutError as error:
        raise NexusError(
            "the operation is still running",
            category=Category.TIMEOUT,
            field="operation_id",
            value=operation_id,
            remedy="it goes on by itself; follow it under its id",
        ) from error
    return result


def check_enabled(settings: Settings) -> None:
    """Refuse what needs a chain where there is none.

    Raises:
        NexusError: category ``conflict``.
    """
    if not settings.web3.enabled:
        raise NexusError(
            "this platform runs without a chain",
            category=Category.CONFLICT,
            field="web3.enabled",
            value=False,
            remedy="start it with bin/nexus up --with web3",
        )


def _checked(kind: type[BaseModel], **values: Any) -> BaseModel:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        value, told = values.get(field), first["msg"]
        raise invalid(told, field=field, value=value, remedy="mend it and ask again") from None


async def _start(
    client: Client, settings: Settings, workflow: str, request: BaseModel, workflow_id: str, *, is_once: bool = False
) -> str:
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY if is_once else WorkflowIDReusePolicy.ALLOW_DUPLICATE
    try:
        with answering(workflow_id):
            await client.start_workflow(
                workflow,
                request,
                id=workflow_id,
                task_queue=settings.temporal.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=reuse,
                rpc_timeout=RPC_TIMEOUT,
            )
    except WorkflowAlreadyStartedError:  # it has completed: the same operation, the same result
        return workflow_id
    return workflow_id
