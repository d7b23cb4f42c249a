"""A worker with the settings of its home that dies, killed, right after an activity did its work for the Nth time.

``NEXUS_HOME=... python tests/workflows/dying_worker.py ACTIVITY [N]``; ``-`` as the activity: it does not die.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import redis.asyncio
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from nexus.db.pool import async_pool
from nexus.settings import load
from workflows import web3_worker, worker
from workflows.activities.keys import KeyActivities
from workflows.activities.web3 import Web3
from workflows.connection import connect
from workflows.observing import Figures


class Dies(Interceptor):
    """Ends the process where its answer would go out."""

    def __init__(self, name: str, times: int) -> None:
        self.name, self.left = name, times

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Put the end around what runs the activity."""
        owner = self

        class Dying(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
                answer = await super().execute_activity(input)
                owner.left -= activity.info().activity_type == owner.name
                if owner.left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

        return Dying(next)


async def main() -> None:
    """Work until the end."""
    settings, figures = load(), Figures()
    dies = Dies(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    client = await connect(settings)
    async with async_pool(settings, "worker", max_size=12) as pool:
        web3 = Web3(settings, pool)
        keys = KeyActivities(settings)
        registered = web3_worker.activities(web3, redis.asyncio.from_url(settings.redis.dsn()))
        async with (
            worker.build(client, settings, (keys.make, keys.activate, keys.rewrap, keys.retire), figures),
            web3_worker.build(client, settings, registered, figures, "test", [dies]),
        ):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
