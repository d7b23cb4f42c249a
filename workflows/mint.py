"""MintMedia: a title becomes a token, exactly once, however often it is asked for and whatever dies on the way.

Steps: validate -> metadata (canonical JSON, frozen in Postgres) -> pin (k of n) -> manifest (signed by the platform)
-> send (reserve a nonce, sign, store, broadcast) -> final -> record -> publish. Each is an idempotent activity; what
waits (a pin, funds, finality, a chain that is away) holds no slot while it does. The operation's id is the title's,
so the same title twice is the same operation.

It can be cancelled until the transaction is signed. What had been sent all the same (the wish came while it was being
signed) is taken back on the chain before "cancelled" is said; if the chain was faster, the token is there and the
operation completes with it. Ended without a token, it leaves nothing: what it pinned is unpinned unless somebody else
stands on it, and its plan is forgotten.

Does not belong here: anything that reaches out of the workflow (workflows.activities).
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from pydantic import BaseModel

    from nexus import temporal_names
    from nexus.errors import Category
    from workflows.activities import names
    from workflows.messages import Acknowledged, CancelRequest, Progress, Published, StepState
    from workflows.patience import ENDS, SIGNED, follow, patiently
    from workflows.steps import StepLog
    from workflows.updates import cancelled_by_update, conflict
    from workflows.web3_messages import (
        MintPlan,
        MintRecord,
        MintRequest,
        MintResult,
        MintTarget,
        MintTask,
        Ownership,
        Pinned,
        PlanTask,
        Signature,
        Situation,
        TokenEvent,
        TransactionView,
    )

VALIDATE, METADATA, PIN, MANIFEST = "validate", "metadata", "pin", "manifest"
SEND, FINAL, RECORD, PUBLISH = "send", "final", "record", "publish"
STEPS = (VALIDATE, METADATA, PIN, MANIFEST, SEND, FINAL, RECORD, PUBLISH)

Result = TypeVar("Result", bound=BaseModel)


@workflow.defn(name=temporal_names.MINT_WORKFLOW)
class MintMedia:
    """One title and its token."""

    @workflow.init
    def __init__(self, request: MintRequest) -> None:
        self._request = request
        self._log = StepLog(STEPS)
        self._plan: MintPlan | None = None
        self._is_signed = False
        self._is_cancelling = False
        self._work: asyncio.Task[MintResult] | None = None

    @workflow.run
    async def run(self, request: MintRequest) -> MintResult:
        """Take the steps; clean up when they end without a token."""
        self._work = asyncio.create_task(self._take_steps(request))
        if self._is_cancelling:  # asked before the first step
            self._work.cancel()
        try:
            result = await self._until_done(self._work)
        except (FailureError, asyncio.CancelledError) as error:  # anything else is a defect: it stops the task, no more
            minted = None if self._plan is None else await self._clean_up(self._plan)
            if minted is None:
                is_cancelled = self._is_cancelling or is_cancelled_exception(error)
                self._log.close(StepState.CANCELLED if is_cancelled else StepState.FAILED, _reason(error))
                await workflow.wait_condition(workflow.all_handlers_finished)
                if is_cancelled:
                    raise cancelled_by_update() from error
                raise
            result = minted
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    @workflow.update(name=temporal_names.CANCEL_UPDATE)
    async def cancel(self, request: CancelRequest) -> Acknowledged:  # noqa: ARG002 recorded in the history
        """Stop what runs and take no further step."""
        self._cancel()
        return Acknowledged()

    @cancel.validator
    def _may_cancel(self, request: CancelRequest) -> None:  # noqa: ARG002 the signature is the engine's
        if self._is_cancelling:
            raise conflict("the operation is being cancelled already")
        if self._is_signed:
            raise conflict("it is too late to cancel: the transaction is signed, the token will come")

    def _cancel(self) -> None:
        self._is_cancelling = True
        if self._work is not None:
            self._work.cancel()

    async def _until_done(self, work: asyncio.Task[MintResult]) -> MintResult:
        """What comes of the work. A cancellation by the engine counts like a person's, as long as that is possible."""
        while True:
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                if work.done():
                    raise
                if not self._is_signed and not self._is_cancelling:
                    self._cancel()

    async def _take_steps(self, request: MintRequest) -> MintResult:
        info = workflow.info()
        task = MintTask(request=request, operation_id=info.workflow_id, run_id=info.run_id)
        target = await self._step(VALIDATE, names.VALIDATE_MINT, task, MintTarget)
        if target.minted is not None:
            self._log.close(StepState.CANCELLED)
            return target.minted
        plan = self._plan = await self._step(METADATA, names.MAKE_METADATA, target, MintPlan)
        await self._pin(plan)
        await self._step(MANIFEST, names.SIGN_MANIFEST, PlanTask(plan=plan), Signature)
        self._log.start(SEND)
        return await self._finish(plan, await follow(plan.call, self._see))

    async def _step(self, step: str, activity: str, argument: BaseModel, result: type[Result]) -> Result:
        self._log.start(step)
        answer = await patiently(activity, argument, result, wait=lambda why: self._log.note(step, why))
        self._log.finish(step, _detail(answer))
        self._stop_if_told()
        return answer

    def _stop_if_told(self) -> None:
        """An activity that ended well just before it was cancelled swallows the cancellation."""
        if self._is_cancelling:
            raise asyncio.CancelledError

    async def _pin(self, plan: MintPlan) -> None:
        self._log.start(PIN)
        known: Situation | None = None
        while True:
            pinned = await patiently(names.PIN_METADATA, PlanTask(plan=plan, known=known), Pinned)
            self._stop_if_told()
            if pinned.state == "pinned":
                break
            known = pinned.situation
            self._log.note(PIN, pinned.detail)
        self._log.finish(PIN, pinned.detail)

    def _see(self, view: TransactionView) -> None:
        """What a person reads while the transaction is on its way."""
        self._is_signed = self._is_signed or view.state in SIGNED
        if self._is_signed and not self._log.is_done(SEND):
            self._log.finish(SEND, view.tx_hash)
            self._log.start(FINAL, view.detail)
        elif self._log.is_done(SEND):
            self._log.note(FINAL, view.detail)
        else:
            self._log.note(SEND, view.detail)
        if view.state not in ENDS:
            self._stop_if_told()

    async def _finish(self, plan: MintPlan, view: TransactionView) -> MintResult:
        """The transaction can't change any more."""
        if view.state == "cancelled":
            raise asyncio.CancelledError
        if view.state == "failed":
            owner = await patiently(names.FIND_OWNER, PlanTask(plan=plan), Ownership)
            raise _refused(plan, view, owner)
        self._is_signed = True  # also when this was learnt while it was being taken back
        for step in (SEND, FINAL):
            if not self._log.is_started(step):
                self._log.start(step)
            if not self._log.is_done(step):
                self._log.finish(step, view.tx_hash if step == SEND else f"block {view.block_number}")
        record = MintRecord(plan=plan, transaction=view, operation_id=workflow.info().workflow_id)
        result = await self._surely(RECORD, names.RECORD_TOKEN, record, MintResult)
        event = TokenEvent(content_id=plan.content_id, operation_id=workflow.info().workflow_id, result=result)
        await self._surely(PUBLISH, names.PUBLISH_TOKEN, event, Published)
        self._log.close()
        return result

    async def _surely(self, step: str, activity: str, argument: BaseModel, result: type[Result]) -> Result:
        """There is a token: from here on nothing stops, and nobody cancels."""
        self._log.start(step)
        answer = await patiently(activity, argument, result, wait=lambda why: self._log.note(step, why))
        self._log.finish(step)
        return answer

    async def _clean_up(self, plan: MintPlan) -> MintResult | None:
        """Make sure that there is no token, and take back what was done for it; or finish, if there is one."""
        if self._log.is_started(RECORD):
            return None  # a defect beyond the token: everything stays, so that it can be mended and tried again
        if self._log.is_started(SEND):
            ended = await follow(plan.call, lambda view: self._log.note(SEND, view.detail), is_cancelling=True)
            if ended.state == "final":
                return await self._finish(plan, ended)
        if self._log.is_started(PIN):
            await patiently(names.UNPIN_METADATA, PlanTask(plan=plan), Acknowledged)
        await patiently(names.FORGET_MINT, PlanTask(plan=plan), Acknowledged)
        return None


def _refused(plan: MintPlan, view: TransactionView, owner: Ownership) -> ApplicationError:
    """Why there is no token of ours: somebody else has it, or the contract said no."""
    if owner.owner is not None:
        facts = {
            "field": "token_id",
            "value": plan.token_id,
            "remedy": "nothing has to be done: the chain says who owns it",
            "owner": owner.owner,
        }
        message = f"the token was already minted by someone else; it belongs to {owner.owner}"
        return ApplicationError(message, facts, type=str(Category.CONFLICT), non_retryable=True)
    facts = {"field": "content_id", "value": str(plan.content_id), "remedy": "see bin/nexus keys list; then mint again"}
    return ApplicationError(
        f"the contract refused the mint: {view.detail or 'no reason given'}",
        facts,
        type=str(Category.CONFLICT),
        non_retryable=True,
    )


def _detail(answer: BaseModel) -> str | None:
    match answer:
        case MintTarget():
            return f"to {answer.to} on {answer.chain}" if answer.minted is None else "the title has its token already"
        case MintPlan():
            return f"{answer.metadata_cid}, {answer.metadata_bytes} bytes"
        case Signature():
            return f"{answer.algorithm} {answer.public_key[:16]}"
    return None


def _reason(error: BaseException) -> str | None:
    cause = error.cause if isinstance(error, ActivityError) and error.cause is not None else error
    return cause.message[:200] if isinstance(cause, ApplicationError) else None
