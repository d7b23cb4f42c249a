"""Which state of a viewer's history is the newest: asked of Redis for every answer that is about to be given again.

Belongs here: one question for all requests that wait at the same time. A request never uses an answer of Redis that was
asked for before the request came in, so an event that was accepted by then (by any process) is always noticed.
Does not belong here: what is kept (kept).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from nexus.errors import NexusError
from serving.parts import Part

WITHIN_S = 0.25
_Waiting = dict[str, list["asyncio.Future[bytes | None]"]]


class Store(Protocol):
    """What is asked (:class:`serving.plain_redis.PlainRedis`)."""

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys."""


class Versions:
    """Asks for many viewers at once."""

    def __init__(self, store: Store, part: Part) -> None:
        self._store = store
        self._part = part
        self._waiting: _Waiting = {}
        self._asking: asyncio.Task[None] | None = None

    async def of(self, key: str) -> bytes | None:
        """The value of a key of :func:`nexus.events.restored_key` now; None when there is none, or nobody says."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes | None] = loop.create_future()  # one each: who goes away takes no other along
        self._waiting.setdefault(key, []).append(found)
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
        return await found

    async def _ask(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                await self._settle(batch)
        finally:
            self._asking = None

    async def _settle(self, batch: _Waiting) -> None:
        values: list[bytes | None] = [None] * len(batch)
        try:
            async with self._part.asking(WITHIN_S):
                values = await self._store.mget(list(batch))
        except NexusError:
            pass  # nobody knows: the caller makes the answer anew
        finally:
            for futures, value in zip(batch.values(), values, strict=True):
                for future in futures:
                    if not future.done():
                        future.set_result(value)
