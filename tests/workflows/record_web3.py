"""The histories of minting, royalties, proposals and keys; recorded by record_histories.py, as all others are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from nexus import temporal_names
from workflows.activities import names
from workflows.key_messages import (
    Calls,
    Drained,
    KeyStep,
    Rewrapped,
    RotateKeysRequest,
    RotateSignerRequest,
    RotateSignerResult,
    Rotation,
    RotationTask,
)
from workflows.messages import Acknowledged, CancelRequest, Published
from workflows.web3_messages import (
    Call,
    CallTask,
    MintPlan,
    MintRecord,
    MintRequest,
    MintResult,
    MintTarget,
    MintTask,
    Ownership,
    Pinned,
    PlanTask,
    ProposalRequest,
    ProposalTask,
    ProposalView,
    Release,
    Releases,
    RoyaltiesRequest,
    Signature,
    TokenEvent,
    TransactionView,
)

ID = UUID("00000000-0000-4000-8000-000000000001")
WHO, OLD, NEW, HASH = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20, "0x" + "dd" * 32
QUEUE = temporal_names.web3_queue("recording")
CALL = Call(key="k", to=WHO, data="0x01")
PACE = timedelta(milliseconds=50)
_SENT = asyncio.Event()


def _is(name: str) -> bool:
    return activity.info().workflow_id == name


@activity.defn(name=names.VALIDATE_MINT)
async def _validate(task: MintTask) -> MintTarget:
    minted = _result() if _is("mint-again") else None
    return MintTarget(
        content_id=task.request.content_id,
        operation_id=task.operation_id,
        run_id=task.run_id,
        chain_id=31337,
        chain="anvil",
        contract=WHO,
        to=OLD,
        minted=minted,
    )


@activity.defn(name=names.MAKE_METADATA)
async def _metadata(target: MintTarget) -> MintPlan:
    return MintPlan(
        content_id=target.content_id,
        chain_id=target.chain_id,
        chain=target.chain,
        contract=target.contract,
        to=target.to,
        token_id="7",
        metadata_cid="bafk",
        metadata_bytes=100,
        metadata_uri="ipfs://bafk",
        call=CALL,
    )


@activity.defn(name=names.PIN_METADATA)
async def _pin(task: PlanTask) -> Pinned:
    if task.known is None:
        return Pinned(state="blocked", detail="waits: IPFS does not answer")
    return Pinned(state="pinned", detail="1 of 1 pins")


@activity.defn(name=names.SIGN_MANIFEST)
async def _sign(_task: PlanTask) -> Signature:
    return Signature(algorithm="ed25519", public_key="00" * 32, signature="11" * 64)


def _news(task: CallTask) -> TransactionView:
    """One state after the other; who cancels early finds it cancelled, who cancels late finds it final."""
    known = None if task.known is None else task.known.state
    if task.is_cancelling:
        state = "final" if _is("mint-outrun") else "cancelled"
        return TransactionView(state=state, tx_hash=HASH, block_number=5)
    if _is("mint-cancelled") or _is("mint-outrun"):
        return TransactionView(state="blocked", detail="waits for funds")
    if _is("mint-taken"):
        return TransactionView(state="failed", detail="ERC721InvalidSender(0)")
    following = {None: "blocked", "blocked": "sent", "sent": "mined", "mined": "final"}
    return TransactionView(state=following[known], detail=known, tx_hash=HASH, block_number=5, sender=NEW)


@activity.defn(name=names.ADVANCE_CALL)
async def _advance(task: CallTask) -> TransactionView:
    view = _news(task)
    if task.known is not None and view.situation == task.known:
        _SENT.set()
        raise ApplicationError(
            "nothing new", type="waiting", next_retry_delay=PACE, category=ApplicationErrorCategory.BENIGN
        )
    return view


@activity.defn(name=names.FIND_OWNER)
async def _owner(_task: PlanTask) -> Ownership:
    return Ownership(owner=OLD)


def _result() -> MintResult:
    return MintResult(
        token_id="7", contract=WHO, chain_id=31337, tx_hash=HASH, block_number=5, metadata_uri="ipfs://bafk", owner=OLD
    )


@activity.defn(name=names.RECORD_TOKEN)
async def _record(_record: MintRecord) -> MintResult:
    return _result()


@activity.defn(name=names.UNPIN_METADATA)
async def _unpin(_task: PlanTask) -> Acknowledged:
    return Acknowledged()


@activity.defn(name=names.FORGET_MINT)
async def _forget(_task: PlanTask) -> Acknowledged:
    return Acknowledged()


@activity.defn(name=names.PUBLISH_TOKEN)
async def _publish(_event: TokenEvent) -> Published:
    return Published(is_new=True)


@activity.defn(name=names.LIST_RELEASES)
async def _releases(_request: RoyaltiesRequest) -> Releases:
    return Releases(items=(Release(payee=OLD, amount="5", call=CALL), Release(payee=NEW, amount="6", call=CALL)))


@activity.defn(name=names.LOOK_AT_PROPOSAL)
async def _proposal(task: ProposalTask) -> ProposalView:
    if _is("proposal-defeated"):
        return ProposalView(state="defeated")
    attempt = activity.info().activity_id
    states: dict[str, ProposalView] = {"1": ProposalView(state="succeeded", call=CALL)}
    if task.known is not None:
        return ProposalView(state="queued", call=CALL)
    return states.get(attempt) or ProposalView(
        state="queued" if int(attempt) < 8 else "executed", detail="waits for the timelock"
    )


def _rotation(operation_id: str) -> Rotation:
    return Rotation(operation_id=operation_id, chain_id=31337, contract=WHO, old=OLD, new=NEW)


@activity.defn(name=names.BEGIN_ROTATION)
async def _begin(task: RotationTask) -> Rotation:
    return _rotation(task.operation_id)


@activity.defn(name=names.GRANT_SIGNER)
async def _grant(_rotation: Rotation) -> Calls:
    return Calls(items=(CALL,))


@activity.defn(name=names.REVOKE_SIGNER)
async def _revoke(_rotation: Rotation) -> Calls:
    return Calls(items=(CALL,))


@activity.defn(name=names.SWEEP_SIGNER)
async def _sweep(_rotation: Rotation) -> Calls:
    return Calls()


@activity.defn(name=names.SWITCH_SIGNER)
async def _switch(rotation: Rotation) -> Rotation:
    return rotation


@activity.defn(name=names.VERIFY_SIGNER)
async def _verify(rotation: Rotation) -> Rotation:
    return rotation


@activity.defn(name=names.DRAIN_SIGNER)
async def _drain(rotation: Rotation) -> Drained:
    return Drained(in_flight=3 if rotation.known is None else 0)


@activity.defn(name=names.END_ROTATION)
async def _end(rotation: Rotation) -> RotateSignerResult:
    return RotateSignerResult(retired=rotation.old, active=rotation.new, swept_wei="1")


@activity.defn(name=names.MAKE_KEY)
async def _make(step: KeyStep) -> KeyStep:
    return step.model_copy(update={"key_id": "b", "retiring": "a"})


@activity.defn(name=names.ACTIVATE_KEY)
async def _activate(step: KeyStep) -> KeyStep:
    return step


@activity.defn(name=names.REWRAP_SECRETS)
async def _rewrap(_step: KeyStep) -> Rewrapped:
    return Rewrapped(files=3)


@activity.defn(name=names.RETIRE_KEY)
async def _retire(step: KeyStep) -> KeyStep:
    return step


KEY_ACTIVITIES = (_make, _activate, _rewrap, _retire)
WEB3_ACTIVITIES = (
    _validate, _metadata, _pin, _sign, _advance, _owner, _record, _unpin, _forget, _publish, _releases, _proposal,
    _begin, _grant, _revoke, _sweep, _switch, _verify, _drain, _end,
)  # fmt: skip


async def _start(client: Client, workflow: str, request: BaseModel, name: str) -> WorkflowHandle:
    return await client.start_workflow(workflow, request, id=name, task_queue="recording")


async def _mint(client: Client, name: str) -> WorkflowHandle:
    return await _start(client, temporal_names.MINT_WORKFLOW, MintRequest(content_id=ID), name)


async def _cancelled(client: Client, name: str) -> WorkflowHandle:
    _SENT.clear()
    handle = await _mint(client, name)
    await _SENT.wait()
    await handle.execute_update(temporal_names.CANCEL_UPDATE, CancelRequest(reason="r"))
    return handle


Case = Callable[[Client], Awaitable[WorkflowHandle]]
CASES: dict[str, Case] = {
    **{
        name: (lambda client, name=name: _mint(client, name)) for name in ("mint-completed", "mint-again", "mint-taken")
    },
    **{name: (lambda client, name=name: _cancelled(client, name)) for name in ("mint-cancelled", "mint-outrun")},
    "royalties-completed": lambda client: _start(
        client, temporal_names.ROYALTIES_WORKFLOW, RoyaltiesRequest(number="1"), "royalties-completed"
    ),
    **{
        name: (
            lambda client, name=name: _start(
                client, temporal_names.PROPOSAL_WORKFLOW, ProposalRequest(proposal_id="9"), name
            )
        )
        for name in ("proposal-executed", "proposal-defeated")
    },
    "rotate-signer-completed": lambda client: _start(
        client, temporal_names.ROTATE_SIGNER_WORKFLOW, RotateSignerRequest(), "rotate-signer-completed"
    ),
    "rotate-keys-completed": lambda client: _start(
        client, temporal_names.ROTATE_KEYS_WORKFLOW, RotateKeysRequest(), "rotate-keys-completed"
    ),
}
