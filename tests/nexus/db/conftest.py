"""A database and a Redis database of their own for the tests of facts, on the session's servers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import redis

from nexus.db import migrate
from nexus.db.pool import connect
from nexus.settings import Settings

REDIS_DATABASE = 9


@pytest.fixture(scope="session")
def fresh(settings: Settings) -> Settings:
    """Settings of a database that does not exist yet."""
    database = f"facts_{uuid.uuid4().hex[:8]}"
    url = settings.postgres.owner_url(driver="", database=database)
    redis_url = f"{settings.redis.dsn().rpartition('/')[0]}/{REDIS_DATABASE}"
    return settings.model_copy(
        update={
            "postgres": settings.postgres.model_copy(update={"url": type(settings.postgres.url)(url)}),
            "redis": settings.redis.model_copy(update={"url": type(settings.redis.url)(redis_url)}),
        }
    )


@pytest.fixture(scope="session")
def facts(fresh: Settings) -> Settings:
    """Settings whose database is migrated."""
    migrate.upgrade(fresh)
    return fresh


@pytest.fixture
def owner(facts: Settings) -> Iterator[psycopg.Connection]:
    with connect(facts, "owner") as connection:
        yield connection


@pytest.fixture
def empty(facts: Settings, owner: psycopg.Connection) -> Settings:
    """Nobody has done anything yet."""
    owner.execute("truncate nexus_core.users, nexus_core.content, nexus_ai.interaction_keys cascade")
    with redis.Redis.from_url(facts.redis.dsn()) as client:
        client.flushdb()
    return facts


@pytest.fixture
async def api(empty: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection as nexus_api."""
    url = empty.postgres.role_url("api", driver="")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def worker(empty: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection as nexus_worker."""
    url = empty.postgres.role_url("worker", driver="")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection
