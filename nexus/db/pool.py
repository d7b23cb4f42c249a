"""Connections: one pool a process for async callers, one plain connection for bulk work.

Every connection is in autocommit mode; functions that write several rows open their own transaction.
Does not belong here: SQL.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from nexus.errors import NexusError, unavailable
from nexus.settings import Role, Settings

AsyncPool = AsyncConnectionPool[psycopg.AsyncConnection]

# A filtered search over HNSW keeps scanning until it has as many rows as were asked for.
_OPTIONS: Final = "-c hnsw.iterative_scan=strict_order -c hnsw.ef_search=100 -c timezone=UTC"
_KEEPALIVE: Final[dict[str, Any]] = {"connect_timeout": 5, "keepalives_idle": 30, "options": _OPTIONS}


def url(settings: Settings, role: Role | Literal["owner"]) -> str:
    """The libpq URL of a role.

    Raises:
        NexusError: category ``unavailable`` when the role has no password in the settings.
    """
    if role == "owner":
        return settings.postgres.owner_url(driver="")
    if role not in settings.postgres.role_passwords:
        raise unavailable(
            f"the Postgres role nexus_{role} has no password",
            remedy=f"run bin/nexus up, or set NEXUS_POSTGRES__ROLE_PASSWORDS__{role.upper()}",
        )
    return settings.postgres.role_url(role, driver="")


def async_pool(settings: Settings, role: Role, *, min_size: int = 1, max_size: int = 8) -> AsyncPool:
    """A closed pool; open it with ``async with`` or ``await pool.open()``. It reconnects by itself."""
    return AsyncConnectionPool(
        url(settings, role),
        kwargs={"autocommit": True, "application_name": f"nexus-{role}", **_KEEPALIVE},
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=_warm,
        timeout=5.0,
        reconnect_timeout=30.0,
        check=AsyncConnectionPool.check_connection,
        name=f"nexus-{role}",
    )


async def _warm(connection: psycopg.AsyncConnection) -> None:
    """Have the server read what it keeps per partition now (60 ms), not in somebody's first request."""
    with contextlib.suppress(psycopg.Error):  # not migrated yet, or a role that may not read it
        await connection.execute(
            "select from nexus_ai.user_interactions where user_id = %s limit 1", (uuid.UUID(int=0),)
        )


@asynccontextmanager
async def acquire(pool: AsyncPool, *, timeout_s: float | None = None) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of the pool; what the server can't do now becomes a NexusError.

    Raises:
        NexusError: category ``unavailable`` when Postgres does not answer.
    """
    try:
        async with pool.connection(timeout=timeout_s) as connection:
            yield connection
    except (PoolTimeout, psycopg.OperationalError) as error:
        raise _down(error) from error


def connect(settings: Settings, role: Role | Literal["owner"]) -> psycopg.Connection:
    """A connection of its own, for bulk work; use it with ``with``.

    Raises:
        NexusError: category ``unavailable`` when Postgres does not answer.
    """
    try:
        return psycopg.connect(url(settings, role), autocommit=True, application_name=f"nexus-{role}", **_KEEPALIVE)
    except psycopg.OperationalError as error:
        raise _down(error) from None


def _down(error: Exception) -> NexusError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return unavailable(
        "Postgres does not answer", remedy="see bin/nexus status and bin/nexus logs postgres", reason=reason
    )
