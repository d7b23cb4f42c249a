"""How far those who read the streams are behind: the drain into the lake, the copy in Postgres.

Belongs here: looking at the streams every few seconds and setting the gauges. Does not belong here: reading events.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import time
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from nexus.events import CONTENT_STREAM, SERVED_STREAM, STREAM
from serving.events.projector import GROUP
from serving.metrics import Metrics

EVERY_S = 10.0
STREAMS = {"events": STREAM, "content": CONTENT_STREAM, "served": SERVED_STREAM}


class Lag:
    """Looks for ever; while Redis is away the gauges keep what was seen last (its absence is another figure)."""

    def __init__(self, client: aioredis.Redis, *, metrics: Metrics) -> None:
        self._redis = client
        self._metrics = metrics

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once."""
        for name, key in STREAMS.items():
            first: Any = await self._redis.xrange(key, count=1)
            self._metrics.stream_entries.labels(name).set(await self._redis.xlen(key))
            age_s = time() - _ms(first[0][0]) / 1000 if first else 0.0
            self._metrics.stream_oldest.labels(name).set(max(0.0, age_s))
        await self._look_at_projector()

    async def _look_at_projector(self) -> None:
        """Age of the oldest entry that is not copied: read and not acknowledged, or not even read."""
        try:
            groups: Any = await self._redis.xinfo_groups(STREAM)
        except ResponseError:  # there is no stream yet
            return
        for group in groups:
            if _text(group["name"]) != GROUP:
                continue
            after = _text(group["last-delivered-id"])
            unread: Any = await self._redis.xrange(STREAM, min=f"({after}", count=1)
            pending: Any = await self._redis.xpending(STREAM, GROUP)
            waiting = [_ms(entry) for entry in (*(entry for entry, _ in unread), pending["min"]) if entry]
            self._metrics.projector_lag.set(max(0.0, time() - min(waiting) / 1000) if waiting else 0.0)
            self._metrics.projector_pending.set(pending["pending"])


def _ms(stream_id: bytes | str) -> int:
    return int(_text(stream_id).partition("-")[0])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
