"""How often somebody may ask: counts in Redis, shared by all API processes.

Belongs here: the counting and the refusal (429). Does not belong here: which limits there are.
"""

from __future__ import annotations

from http import HTTPStatus
from time import time

import redis.asyncio as aioredis
from starlette.exceptions import HTTPException

from serving.parts import Part

WINDOW_S = 60
WITHIN_S = 1.0


class Rate:
    """Counts per minute. Without Redis nobody is let through: what is limited here can wait."""

    def __init__(self, client: aioredis.Redis, part: Part) -> None:
        self._redis = client
        self._part = part

    async def take(self, what: str, who: str, at_most: int) -> None:
        """Count one more of somebody.

        Raises:
            HTTPException: 429, with ``Retry-After``, from the one on that is too many.
            NexusError: ``unavailable`` while Redis is away.
        """
        window, passed = divmod(int(time()), WINDOW_S)
        key = f"nexus:rate:{what}:{who}:{window}"
        async with self._part.asking(WITHIN_S):
            pipe = self._redis.pipeline(transaction=True)
            pipe.incr(key)
            pipe.expire(key, WINDOW_S)
            count, _ = await pipe.execute()
        if count > at_most:
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {at_most} of these a minute",
                headers={"retry-after": str(WINDOW_S - passed)},
            )
