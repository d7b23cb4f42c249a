"""How long an activity may take and how it is tried again: a few named policies, nothing per call.

Every policy has a start-to-close and a schedule-to-close time-out, so that nothing is tried for ever; a failure that
can't mend itself (its ``ApplicationError`` is non-retryable) is not tried again under any of them.
Does not belong here: anything that runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType


class Options(TypedDict):
    """Keyword arguments of ``workflow.execute_activity``."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


@dataclass(frozen=True, slots=True)
class Policy:
    """Time-outs and retries of one kind of activity."""

    start_to_close: timedelta
    schedule_to_close: timedelta
    retry: RetryPolicy
    heartbeat: timedelta | None = None
    cancellation: ActivityCancellationType = ActivityCancellationType.TRY_CANCEL

    def options(self) -> Options:
        """The policy as arguments of ``workflow.execute_activity``."""
        return Options(
            start_to_close_timeout=self.start_to_close,
            schedule_to_close_timeout=self.schedule_to_close,
            heartbeat_timeout=self.heartbeat,
            retry_policy=self.retry,
            cancellation_type=self.cancellation,
        )


QUICK = Policy(
    start_to_close=timedelta(seconds=15),
    schedule_to_close=timedelta(minutes=30),
    retry=RetryPolicy(
        initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
    ),
)
"""Milliseconds of Postgres or Redis; rides out a restart of either, or half an hour without it."""

MODEL = Policy(
    start_to_close=timedelta(minutes=3),
    schedule_to_close=timedelta(minutes=30),
    retry=RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
    ),
    heartbeat=timedelta(seconds=5),
)
"""Loads or runs a model in this process; a dead worker is noticed within five seconds."""

REGISTRY = Policy(
    start_to_close=timedelta(minutes=5),
    schedule_to_close=timedelta(minutes=30),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=8,
    ),
    heartbeat=timedelta(seconds=10),
)
"""Talks to the model registry through a child process of some seconds."""

CHAIN = Policy(
    start_to_close=timedelta(seconds=60),
    schedule_to_close=timedelta(hours=1),
    retry=RetryPolicy(
        initial_interval=timedelta(milliseconds=250), backoff_coefficient=1.6, maximum_interval=timedelta(seconds=30)
    ),
    heartbeat=timedelta(seconds=8),
    cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""One look at, or one move on, a chain or IPFS. What has to wait gives its slot back and is tried again by the server,
which costs no history. A cancelled one is waited for, because what it does outside cannot be guessed."""

NAMED = {"quick": QUICK, "model": MODEL, "registry": REGISTRY, "chain": CHAIN}
