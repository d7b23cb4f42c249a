"""One connection to Redis for one question that very many requests ask.

Belongs here: sending MGET and reading its answer with as little around it as the library allows. The general client takes four
times the processor time for the same question (pools, retries, time limits, instrumentation).
Does not belong here: time limits and "away" (serving.parts), what is asked (recommendations.versions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis
import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as Lost

from nexus.settings import Settings


class PlainRedis:
    """Asks over one connection of its own; one question at a time."""

    def __init__(self, pool: aioredis.ConnectionPool) -> None:
        self._pool = pool
        self._connection: Any = None

    @classmethod
    def of(cls, settings: Settings) -> PlainRedis:
        """To the server of the settings. Nothing limits the time of an answer: the caller does."""
        return cls(
            aioredis.ConnectionPool.from_url(settings.redis.dsn(), socket_timeout=None, socket_connect_timeout=0.5)
        )

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys; a connection that a restart cut is made again once.

        Raises:
            redis.exceptions.RedisError: The server is away or refuses.
        """
        words = hiredis.pack_command(("MGET", *keys))  # type: ignore[arg-type] # it takes any number
        try:
            return await self._ask(words)
        except Lost:
            return await self._ask(words)

    async def _ask(self, words: bytes) -> list[bytes | None]:
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        # Whatever goes wrong between the two, the waiting caller's end of time included, closes the connection: no later
        # question can read this one's answer.
        await self._connection.send_packed_command(words, check_health=False)
        found: list[bytes | None] = await self._connection.read_response(disable_decoding=True)
        return found

    async def close(self) -> None:
        """Close the connection."""
        self._connection = None
        await self._pool.aclose()
