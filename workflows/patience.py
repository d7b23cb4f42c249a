"""How workflows wait for what is not theirs: a chain, a pin, a key's funds; for an hour or for a month.

Belongs here: the loop around activities that answer when something has changed, and around engines' time-outs.
Does not belong here: what is waited for (workflows.activities.waiting is the other side).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutError  # noqa: A004

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from pydantic import BaseModel

    from nexus.temporal_names import web3_queue
    from workflows.activities import names
    from workflows.policies import CHAIN, Policy
    from workflows.web3_messages import Call, CallTask, Situation, TransactionView

PAUSE = timedelta(seconds=2)
FIRST_WORD = timedelta(seconds=15)
"""Who waits for a step hears why after this time."""
ENDS = frozenset({"final", "failed", "cancelled"})
SIGNED = frozenset({"signed", "sent", "mined", "final"})

Result = TypeVar("Result", bound=BaseModel)


async def patiently(
    activity: str,
    argument: BaseModel,
    result: type[Result],
    *,
    policy: Policy = CHAIN,
    wait: Callable[[str], None] | None = None,
) -> Result:
    """Have it done on the queue of what waits, however long that takes; only what can't mend itself goes up.

    Args:
        activity: Its name.
        argument: Its one argument.
        result: What it answers.
        policy: How one hour of it is tried.
        wait: Told why nothing has come of it yet: soon at first, then more and more rarely.
    """
    options = policy.options()
    longest = options["schedule_to_close_timeout"]
    if wait is not None:
        options["schedule_to_close_timeout"] = FIRST_WORD
    while True:
        try:
            return await workflow.execute_activity(
                activity,
                argument,
                result_type=result,
                task_queue=web3_queue(workflow.info().task_queue),
                **options,
            )
        except ActivityError as error:
            if error.retry_state is RetryState.CANCEL_REQUESTED:  # it ended in its own way just before it heard of it
                raise asyncio.CancelledError from error
            if is_lasting(error):
                raise
            if wait is not None:
                wait(_why(error))
            options["schedule_to_close_timeout"] = min(longest, 3 * options["schedule_to_close_timeout"])
            await workflow.sleep(PAUSE)


def is_lasting(error: ActivityError) -> bool:
    """Whether trying again can't help: the activity said so, or it was cancelled."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.non_retryable
    return not isinstance(cause, TimeoutError)


def _why(error: ActivityError) -> str:
    cause = error.cause
    while isinstance(cause, TimeoutError) and cause.cause is not None:
        cause = cause.cause
    told = cause.message if isinstance(cause, ApplicationError) else "no answer"
    return f"waits: {told}"[:400]


async def follow(call: Call, see: Callable[[TransactionView], None], *, is_cancelling: bool = False) -> TransactionView:
    """Have a transaction sent once and follow it until it can't change any more.

    Args:
        call: What is sent; its key makes it one transaction for ever.
        see: Told of each change.
        is_cancelling: Take it back instead; it ends as ``cancelled``, or as ``final`` when that was too late.
    """
    known: Situation | None = None
    while True:
        task = CallTask(call=call, known=known, is_cancelling=is_cancelling)
        view = await patiently(names.ADVANCE_CALL, task, TransactionView)
        see(view)
        if view.state in ENDS:
            return view
        known = view.situation
