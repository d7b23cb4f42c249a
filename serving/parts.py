"""The servers this process leans on, each behind one door that fails fast while the server is away.

Belongs here: connection handling, translation of drivers' errors to ``unavailable``, a short memory of "away".
Does not belong here: what is asked of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import psycopg
import redis.asyncio as aioredis
from psycopg_pool import AsyncConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from nexus.errors import Category, NexusError, unavailable
from nexus.settings import Settings

PAUSE_S = 0.5
"""After a failure, how long nobody tries again: a dead server must not cost every request its time-out."""
LATE_IN_A_ROW = 3
AWAY: tuple[type[BaseException], ...] = (
    RedisError,
    psycopg.Error,
    TimeoutError,
    OSError,
)


class Part:
    """One server: whether it answered when last asked."""

    def __init__(self, name: str, remedy: str = "see bin/nexus status; it is started again by itself") -> None:
        self.name = name
        self.remedy = remedy
        self.is_up: bool | None = None
        self._again_at = 0.0
        self._late = 0

    @asynccontextmanager
    async def asking(self, within_s: float) -> AsyncIterator[None]:
        """Run a block that asks this server.

        Raises:
            NexusError: ``unavailable`` when it is away, or was a moment ago, or takes too long.
        """
        if monotonic() < self._again_at:
            raise self.away("it did not answer a moment ago")
        try:
            async with asyncio.timeout(within_s):
                yield
        except (psycopg.DataError, psycopg.IntegrityError):
            raise
        except NexusError as error:
            self.is_up = not is_unavailable(error)
            raise
        except AWAY as error:
            self._failed(is_late=isinstance(error, TimeoutError))
            raise self.away(type(error).__name__) from error
        self.is_up, self._again_at, self._late = True, 0.0, 0

    def _failed(self, *, is_late: bool) -> None:
        """One late answer may be our own haste; several in a row, or a refused connection, are not."""
        self._late += 1
        if not is_late or self._late >= LATE_IN_A_ROW:
            self.is_up, self._again_at = False, monotonic() + PAUSE_S

    def away(self, cause: str) -> NexusError:
        """The error that says so."""
        return unavailable(f"{self.name} does not answer", remedy=self.remedy, part=self.name, cause=cause)

    @property
    def state(self) -> str:
        """A word for people and probes."""
        return {None: "unknown", True: "up", False: "away"}[self.is_up]


class Database:
    """Postgres, as the role of the API."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self.pool = pool
        self.part = Part("postgres")

    @asynccontextmanager
    async def connection(self, within_s: float = 1.0) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection from the pool, in a transaction, for at most so long.

        Raises:
            NexusError: ``unavailable``.
        """
        async with self.part.asking(within_s), self.pool.connection(timeout=within_s) as connection:
            yield connection


def redis_client(settings: Settings) -> aioredis.Redis:
    """A client that gives up quickly; one repetition heals a connection that a restart cut."""
    return aioredis.Redis.from_url(
        settings.redis.dsn(),
        socket_timeout=5.0,  # longer than any XREAD block; requests have their own, shorter limits
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 1),
        max_connections=64,
    )


def is_unavailable(error: NexusError) -> bool:
    """Whether this error only says that a part is away."""
    return error.category in {Category.UNAVAILABLE, Category.TIMEOUT}
