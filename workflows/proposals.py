"""ExecuteProposal: a proposal that members have passed is queued, waits for its timelock, and is executed.

Steps: look -> queue -> wait -> execute. Somebody else may queue or execute it meanwhile; what the governor says is
what counts. One that was not passed, or whose actions revert, ends with a clear conflict; a transaction that would
revert is not sent. Does not belong here: proposing and voting (wallets do that), what a proposal contains.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from nexus import temporal_names
    from nexus.errors import Category
    from workflows.activities import names
    from workflows.messages import Progress, StepState
    from workflows.patience import follow, patiently
    from workflows.steps import StepLog
    from workflows.web3_messages import (
        ProposalRequest,
        ProposalResult,
        ProposalTask,
        ProposalView,
        TransactionView,
    )

LOOK, QUEUE, WAIT, EXECUTE = "look", "queue", "wait", "execute"
STEPS = (LOOK, QUEUE, WAIT, EXECUTE)
_OVER = frozenset({"canceled", "defeated", "expired"})


@workflow.defn(name=temporal_names.PROPOSAL_WORKFLOW)
class ExecuteProposal:
    """One proposal, from its success to its effect."""

    @workflow.init
    def __init__(self, request: ProposalRequest) -> None:
        self._request = request
        self._log = StepLog(STEPS)
        self._executed: TransactionView | None = None

    @workflow.run
    async def run(self, request: ProposalRequest) -> ProposalResult:
        """Bring it on as far as it goes."""
        try:
            await self._bring_on()
        except FailureError as error:
            cause = error.cause if isinstance(error, ActivityError) else error
            self._log.close(StepState.FAILED, cause.message[:200] if isinstance(cause, ApplicationError) else None)
            raise
        self._log.close()
        done = self._executed
        return ProposalResult(
            proposal_id=request.proposal_id,
            tx_hash=None if done is None else done.tx_hash,
            block_number=None if done is None else done.block_number,
        )

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    async def _bring_on(self) -> None:
        self._log.start(LOOK)
        known: ProposalView | None = None
        while True:
            task = ProposalTask(request=self._request, known=None if known is None else known.situation)
            seen = await patiently(names.LOOK_AT_PROPOSAL, task, ProposalView)
            if seen.state == "executed":
                self._end(LOOK, QUEUE, WAIT, EXECUTE)
                return
            if seen.state in _OVER:
                raise _refused(f"the proposal is {seen.state}: it cannot be executed", self._request.proposal_id)
            known = await self._move(seen)

    async def _move(self, seen: ProposalView) -> ProposalView | None:
        """Make the call that there is to make; what is known afterwards (None: look afresh)."""
        if seen.call is None:
            step = WAIT if seen.state == "queued" else LOOK
            if step == WAIT:
                self._end(LOOK, QUEUE)
            self._log.note(self._begin(step), seen.detail)
            return seen
        step = QUEUE if seen.state == "succeeded" else EXECUTE
        self._end(*STEPS[: STEPS.index(step)])
        self._begin(step)
        view = await follow(seen.call, lambda view: self._log.note(step, view.detail))
        if view.state == "final":
            self._executed = view if step == EXECUTE else self._executed
            return None
        after = await patiently(names.LOOK_AT_PROPOSAL, ProposalTask(request=self._request), ProposalView)
        if after.state == seen.state:  # nobody else did it either
            raise _refused(f"the proposal reverts: {view.detail or 'no reason given'}", self._request.proposal_id)
        return None

    def _begin(self, step: str) -> str:
        if not self._log.is_started(step):
            self._log.start(step)
        return step

    def _end(self, *steps: str) -> None:
        for step in steps:
            self._begin(step)
            if not self._log.is_done(step):
                self._log.finish(step)


def _refused(message: str, proposal_id: str) -> ApplicationError:
    facts = {"field": "proposal_id", "value": proposal_id, "remedy": "propose it anew with actions that can succeed"}
    return ApplicationError(message[:400], facts, type=str(Category.CONFLICT), non_retryable=True)
