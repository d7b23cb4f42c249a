"""RotateSigner: a minting key gives way to a new one while mints go on, and can mint no more at the end.

Steps: make -> grant (and fund) -> switch -> drain -> revoke -> verify -> sweep. Until "switch" new transactions go out
under the old key, from then on under the new one, which has the role by then, finally; what the old key had begun
ends before its role is revoked. Each step asks the chain first and may be taken again; a rotation that was cut off is
taken up where it stood by the next one. Does not belong here: keys, lanes and roles themselves (activities).
"""

from __future__ import annotations

from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from pydantic import BaseModel

    from nexus import temporal_names
    from nexus.errors import Category
    from workflows.activities import names
    from workflows.key_messages import Calls, Drained, RotateSignerRequest, RotateSignerResult, Rotation, RotationTask
    from workflows.messages import Progress, StepState
    from workflows.patience import follow, patiently
    from workflows.steps import StepLog
    from workflows.web3_messages import Situation

MAKE, GRANT, SWITCH, DRAIN = "make", "grant", "switch", "drain"
REVOKE, VERIFY, SWEEP = "revoke", "verify", "sweep"
STEPS = (MAKE, GRANT, SWITCH, DRAIN, REVOKE, VERIFY, SWEEP)

Result = TypeVar("Result", bound=BaseModel)


@workflow.defn(name=temporal_names.ROTATE_SIGNER_WORKFLOW)
class RotateSigner:
    """One minting key and its successor."""

    @workflow.init
    def __init__(self, request: RotateSignerRequest) -> None:  # noqa: ARG002 recorded in the history
        self._log = StepLog(STEPS)

    @workflow.run
    async def run(self, request: RotateSignerRequest) -> RotateSignerResult:
        """Take the steps."""
        info = workflow.info()
        try:
            task = RotationTask(operation_id=f"{info.workflow_id}:{info.run_id}", address=request.address)
            rotation = await self._step(MAKE, names.BEGIN_ROTATION, task, Rotation)
            result = await self._replace(rotation)
        except FailureError as error:
            cause = error.cause if isinstance(error, ActivityError) else error
            self._log.close(StepState.FAILED, cause.message[:200] if isinstance(cause, ApplicationError) else None)
            raise
        self._log.close()
        return result

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    async def _replace(self, rotation: Rotation) -> RotateSignerResult:
        await self._send(GRANT, names.GRANT_SIGNER, rotation)
        await self._step(SWITCH, names.SWITCH_SIGNER, rotation, Rotation)
        await self._drain(rotation)
        await self._send(REVOKE, names.REVOKE_SIGNER, rotation)
        await self._step(VERIFY, names.VERIFY_SIGNER, rotation, Rotation)
        await self._send(SWEEP, names.SWEEP_SIGNER, rotation)
        return await patiently(names.END_ROTATION, rotation, RotateSignerResult)

    async def _step(self, step: str, activity: str, argument: BaseModel, result: type[Result]) -> Result:
        self._log.start(step)
        answer = await patiently(activity, argument, result, wait=lambda why: self._log.note(step, why))
        self._log.finish(
            step, f"{answer.old} -> {answer.new}" if step == MAKE and isinstance(answer, Rotation) else None
        )
        return answer

    async def _send(self, step: str, activity: str, rotation: Rotation) -> None:
        """Have sent what the chain says is still to be sent."""
        self._log.start(step)
        calls = await patiently(activity, rotation, Calls, wait=lambda why: self._log.note(step, why))
        for call in calls.items:
            ended = await follow(call, lambda view: self._log.note(step, view.detail))
            if ended.state != "final":
                raise _refused(step, ended.detail)
        self._log.finish(step, None if calls.items else "nothing to do")

    async def _drain(self, rotation: Rotation) -> None:
        self._log.start(DRAIN)
        known: Situation | None = None
        while True:
            seen = await patiently(names.DRAIN_SIGNER, rotation.model_copy(update={"known": known}), Drained)
            if seen.in_flight == 0:
                break
            known = seen.situation
            self._log.note(DRAIN, known.detail)
        self._log.finish(DRAIN)


def _refused(step: str, why: str | None) -> ApplicationError:
    facts = {"field": "signer", "remedy": "see bin/nexus keys list; asked again, the rotation goes on where it stands"}
    return ApplicationError(
        f"the chain refused the step {step}: {why or 'no reason given'}",
        facts,
        type=str(Category.CONFLICT),
        non_retryable=True,
    )
