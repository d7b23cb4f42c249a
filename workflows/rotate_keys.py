"""RotateKeys: the keyring gets a new active key, and what is stored under older ones is wrapped anew.

Steps: make -> activate -> rewrap -> retire. Each may be delivered twice. From "activate" on everything new is encrypted
under the new key; the old one goes on decrypting, so payloads of running workflows, and of those that are kept, stay
readable. A key is only destroyed by a person (bin/nexus keys destroy), who says that nothing is left under it.

Does not belong here: keys (nexus.keyring), files that are re-wrapped (workflows.activities.keys).
"""

from __future__ import annotations

from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from pydantic import BaseModel

    from nexus import temporal_names
    from workflows.activities import names
    from workflows.key_messages import KeyStep, Rewrapped, RotateKeysRequest, RotateKeysResult
    from workflows.messages import Progress, StepState
    from workflows.policies import QUICK
    from workflows.steps import StepLog

MAKE, ACTIVATE, REWRAP, RETIRE = "make", "activate", "rewrap", "retire"
STEPS = (MAKE, ACTIVATE, REWRAP, RETIRE)

Result = TypeVar("Result", bound=BaseModel)


@workflow.defn(name=temporal_names.ROTATE_KEYS_WORKFLOW)
class RotateKeys:
    """One change of the active key."""

    @workflow.init
    def __init__(self, request: RotateKeysRequest) -> None:  # noqa: ARG002 recorded in the history
        self._log = StepLog(STEPS)

    @workflow.run
    async def run(self, request: RotateKeysRequest) -> RotateKeysResult:  # noqa: ARG002
        """Take the steps."""
        try:
            return await self._take_steps()
        except ActivityError as error:
            self._log.close(
                StepState.FAILED, error.cause.message if isinstance(error.cause, ApplicationError) else None
            )
            raise

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    async def _take_steps(self) -> RotateKeysResult:
        info = workflow.info()
        key = await self._step(MAKE, names.MAKE_KEY, KeyStep(operation_id=f"{info.workflow_id}:{info.run_id}"), KeyStep)
        await self._step(ACTIVATE, names.ACTIVATE_KEY, key, KeyStep)
        wrapped = await self._step(REWRAP, names.REWRAP_SECRETS, key, Rewrapped)
        await self._step(RETIRE, names.RETIRE_KEY, key, KeyStep)
        self._log.close()
        return RotateKeysResult(active=key.key_id, retired=key.retiring, rewrapped=wrapped.files)

    async def _step(self, step: str, activity: str, argument: BaseModel, result: type[Result]) -> Result:
        self._log.start(step)
        answer = await workflow.execute_activity(activity, argument, result_type=result, **QUICK.options())
        self._log.finish(step, f"{answer.files} files" if isinstance(answer, Rewrapped) else None)
        return answer
