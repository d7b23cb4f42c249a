"""Layer raw, NEXUS itself: what the API accepted, drained from Redis exactly once.

Belongs here: the raw assets of streams. Does not belong here: how a drain survives a kill (nexus.lake.drain).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import dagster as dg
import redis

from assets.resources import PlatformResource
from assets.tables import described, result
from nexus import events, served
from nexus.lake.drain import Drained, drain


@dg.asset(**described("raw_nexus__events", kinds=("deltalake", "redis")))
def raw_nexus__events(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the events that wait in the stream."""
    drained = _drain(platform, events.STREAM, "event", "raw_nexus__events")
    return result(platform.lake(), "raw_nexus__events", rows_written=drained.rows)


@dg.asset(**described("raw_nexus__titles", kinds=("deltalake", "redis")))
def raw_nexus__titles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the titles that wait in the stream."""
    drained = _drain(platform, events.CONTENT_STREAM, "content", "raw_nexus__titles")
    return result(platform.lake(), "raw_nexus__titles", rows_written=drained.rows)


@dg.asset(**described("raw_nexus__recommendations", kinds=("deltalake", "redis")))
def raw_nexus__recommendations(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Append the answers that wait in the stream."""
    drained = _drain(platform, served.STREAM, served.FIELD, served.TABLE, served.columns)
    return result(platform.lake(), served.TABLE, rows_written=drained.rows)


def _drain(
    platform: PlatformResource,
    stream: str,
    field: str,
    table: str,
    columns: Callable[[str], dict[str, Any]] | None = None,
) -> Drained:
    with closing(redis.Redis.from_url(platform.settings().redis.dsn())) as client:
        return drain(platform.lake(), client, stream=stream, field=field, table=table, columns=columns)
