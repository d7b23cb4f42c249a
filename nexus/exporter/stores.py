"""Postgres and Redis: connections, memory, sizes.

Belongs here: one short question to each. Does not belong here: streams (the API, which reads them, shows those).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nexus.settings import Settings

WITHIN_S = 2
_STATE = """
select (select coalesce(sum(numbackends), 0) from pg_stat_database),
       current_setting('max_connections')::int,
       (select coalesce(sum(deadlocks), 0) from pg_stat_database)
"""
_SIZES = "select datname, pg_database_size(oid) from pg_database where datname = any(%s) and has_database_privilege(datname, 'connect')"


def gauge(name: str, help_text: str, value: float) -> Metric:
    """A figure without labels."""
    return GaugeMetricFamily(name, help_text, value=float(value))


class Postgres:
    """Asked as the worker's role."""

    name = "postgres"

    def __init__(self, settings: Settings) -> None:
        self._url = settings.postgres.role_url("worker", driver="")
        own = settings.postgres
        self._databases = ["nexus", own.dagster_database, own.mlflow_database, own.feast_database]

    def read(self) -> Iterator[Metric]:
        """Connections, sizes, deadlocks."""
        import psycopg

        options = f"-c statement_timeout={WITHIN_S * 1000}"
        with psycopg.connect(self._url, connect_timeout=WITHIN_S, options=options, autocommit=True) as connection:
            state = connection.execute(_STATE).fetchone()
            sizes = connection.execute(_SIZES, (self._databases,)).fetchall()
        connections, most, deadlocks = state or (0, 0, 0)
        yield gauge("nexus_postgres_connections", "Client connections.", connections)
        yield gauge("nexus_postgres_max_connections", "Client connections that are allowed.", most)
        yield CounterMetricFamily("nexus_postgres_deadlocks", "Deadlocks.", value=float(deadlocks))
        family = GaugeMetricFamily("nexus_postgres_database_bytes", "Size of a database.", labels=("database",))
        for database, size in sizes:
            family.add_metric((database,), float(size))
        yield family


class Redis:
    """Asked with INFO."""

    name = "redis"

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis.dsn()

    def read(self) -> Iterator[Metric]:
        """Memory, clients, whether the append-only file is written."""
        import redis

        with redis.Redis.from_url(self._url, socket_timeout=WITHIN_S, socket_connect_timeout=WITHIN_S) as client:
            told: dict[str, Any] = client.info()
        yield gauge("nexus_redis_memory_bytes", "Memory used.", told["used_memory"])
        yield gauge("nexus_redis_clients", "Connected clients.", told["connected_clients"])
        yield CounterMetricFamily(
            "nexus_redis_rejected_connections", "Refused connections.", value=told["rejected_connections"]
        )
        is_written = told.get("aof_last_write_status", "ok") == "ok"
        yield gauge("nexus_redis_is_written", "Whether the append-only file was written last time.", is_written)
