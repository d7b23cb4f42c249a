"""Which state of a viewer's history is the newest: asked of Redis for every answer that is about to be given again.

Belongs here: one question for all requests that wait at the same time. A request never uses an answer of Redis that was
asked for before the request came in, so an event that was accepted by then (by any process) is always noticed.
Does not belong here: what is kept (kept).
"""

from __future__ import annotations

import asyncio

import redis.asyncio as aioredis

from nexus.errors import NexusError
from serving.parts import Part

WITHIN_S = 0.25


class Versions:
    """Asks for many viewers at once."""

    def __init__(self, client: aioredis.Redis, part: Part) -> None:
        self._redis = client
        self._part = part
        self._waiting: dict[str, asyncio.Future[bytes | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def of(self, key: str) -> bytes | None:
        """The value of a key of :func:`nexus.events.restored_key` now; None when there is none, or nobody says."""
        found = self._waiting.get(key)
        if found is None:
            found = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(found)

    async def _ask(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                await self._settle(batch)
        finally:
            self._asking = None

    async def _settle(self, batch: dict[str, asyncio.Future[bytes | None]]) -> None:
        values: list[bytes | None] = [None] * len(batch)
        try:
            async with self._part.asking(WITHIN_S):
                values = await self._redis.mget(list(batch))
        except NexusError:
            pass  # nobody knows: the caller makes the answer anew
        finally:
            for future, value in zip(batch.values(), values, strict=True):
                if not future.done():
                    future.set_result(value)
