"""The embedded servers, started by the functions that the runtime uses."""

from __future__ import annotations

import psycopg
import pytest
import redis

from nexus.settings import Settings

pytestmark = pytest.mark.integration


def test_postgres__fresh_server__offers_pgvector(postgres_server: str) -> None:
    with psycopg.connect(postgres_server) as connection:
        row = connection.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    assert row == (1,)


def test_postgres__wrong_password__is_refused(postgres_server: str) -> None:
    login, _, rest = postgres_server.rpartition("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{login}x@{rest}")


def test_redis__fresh_server__appends_every_write(redis_server: str) -> None:
    with redis.Redis.from_url(redis_server, decode_responses=True) as connection:
        assert connection.config_get("append*")["appendfsync"] == "always"


def test_redis__no_password__is_refused(redis_server: str) -> None:
    host = redis_server.rpartition("@")[2]
    with redis.Redis.from_url(f"redis://{host}") as connection, pytest.raises(redis.AuthenticationError):
        connection.ping()


def test_settings__fixture__names_the_running_servers(settings: Settings, temporal_server: str) -> None:
    assert settings.temporal.address == temporal_server
    assert settings.postgres.owner_url(driver="").endswith("/nexus")
