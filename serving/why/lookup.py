"""Finding the record of an answer: in Redis until the next drain, in the lake for ever.

Belongs here: the look-up. Does not belong here: what the record means (service).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import polars as pl
import redis
from pydantic import ValidationError
from redis.exceptions import RedisError

from nexus import served
from nexus.errors import invalid, not_found
from nexus.lake.lake import Lake
from nexus.settings import Settings

PAGE = 500
CLOCKS = timedelta(minutes=5)
"""How far the clocks of the API and of Redis may lie apart."""
Place = Literal["redis", "lake"]


def parse_id(text: str) -> UUID:
    """The id of an answer.

    Raises:
        NexusError: category ``invalid``.
    """
    try:
        return UUID(text.strip())
    except ValueError:
        raise invalid(
            "a recommendation_id is a UUID",
            field="recommendation_id",
            value=text,
            remedy="copy it from an answer: bin/nexus recommend movielens:1 --json",
        ) from None


def find(settings: Settings, lake: Lake, recommendation_id: UUID) -> tuple[served.Served, Place]:
    """The record, and where it was found.

    Raises:
        NexusError: ``not_found``.
    """
    waiting, is_redis_away = None, False
    try:
        waiting = _in_redis(settings, recommendation_id)
    except RedisError:
        is_redis_away = True
    if waiting is not None:
        return waiting, "redis"
    kept = _in_lake(lake, recommendation_id)
    if kept is not None:
        return kept, "lake"
    raise not_found(
        "no such recommendation",
        field="recommendation_id",
        value=recommendation_id,
        remedy="Redis does not answer, and newer ones wait there: see bin/nexus status"
        if is_redis_away
        else f"take the id from an answer of this installation; of each time without a drain the newest {served.AT_MOST} are kept",
    )


def entries(client: Any, stream: str, first: str = "-") -> Iterator[dict[bytes, bytes]]:
    """Everything that waits in a stream, a page at a time."""
    while page := client.xrange(stream, min=first, count=PAGE):
        yield from (fields for _, fields in page)
        first = "(" + page[-1][0].decode()


def stream_client(settings: Settings) -> Any:
    """A client for a look into a stream."""
    return closing(redis.Redis.from_url(settings.redis.dsn(), socket_timeout=5.0, socket_connect_timeout=1.0))


def _in_redis(settings: Settings, recommendation_id: UUID) -> served.Served | None:
    made = served.moment_of(recommendation_id)
    if made is None or settings.redis.url is None:
        return None
    first = str(max(0, int((made - CLOCKS).timestamp() * 1000)))
    wanted = str(recommendation_id).encode()
    with stream_client(settings) as client:
        for fields in entries(client, served.STREAM, first):
            body = fields.get(served.FIELD.encode(), b"")
            if wanted in body and (found := _read(body, recommendation_id)) is not None:
                return found
    return None


def _in_lake(lake: Lake, recommendation_id: UUID) -> served.Served | None:
    if not lake.exists(served.TABLE):
        return None
    rows = lake.scan(served.TABLE)
    made = served.moment_of(recommendation_id)
    if made is not None:
        rows = rows.filter(pl.col("day") >= (made - CLOCKS).date())
    found = rows.filter(pl.col("recommendation_id") == str(recommendation_id)).select("body").head(1).collect()
    assert isinstance(found, pl.DataFrame)  # noqa: S101 (narrows the type)
    return _read(found.item(), recommendation_id) if found.height else None


def _read(body: str | bytes, recommendation_id: UUID) -> served.Served | None:
    try:
        found = served.Served.model_validate_json(body)
    except ValidationError:
        return None
    return found if found.recommendation_id == recommendation_id else None
