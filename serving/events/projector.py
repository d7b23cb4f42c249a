"""Copies accepted events from the stream into Postgres, each at least once, which there counts once.

Belongs here: the consumer group and its loop. A crash loses nothing: what was read and not acknowledged is read
again at the next start. Does not belong here: the drain into the lake (assets).
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

import psycopg
import redis.asyncio as aioredis
from pydantic import ValidationError
from redis.exceptions import RedisError, ResponseError

from nexus import logs, telemetry
from nexus.db import interactions, users
from nexus.errors import NexusError
from nexus.events import STREAM, Event
from serving.metrics import Metrics
from serving.parts import Database

GROUP = "postgres-projector"
CONSUMER = "api"
BATCH = 500
BLOCK_MS = 2_000
PAUSE_S = 1.0
WITHIN_S = 20.0
KNOWN = 20_000
Message = tuple[bytes, dict[bytes, bytes]]
_LOG = logs.get(__name__)


class Projector:
    """One reader of the stream."""

    def __init__(self, client: aioredis.Redis, database: Database, metrics: Metrics) -> None:
        self._redis = client
        self._database = database
        self._metrics = metrics
        self._group_exists = False
        self._known: set[tuple[UUID, str]] = set()
        """Viewers that were created lately, so that nobody asks again with every batch."""

    async def run(self) -> None:
        """Copy for ever; wait out servers that are away."""
        cursor = "0"  # first what an earlier run read and did not finish
        while True:
            try:
                cursor = await self.step(cursor)
            except (RedisError, OSError, TimeoutError, NexusError) as error:
                self._group_exists, cursor = False, "0"
                _LOG.info("projector_waits", cause=type(error).__name__, reason=str(error)[:200])
                await asyncio.sleep(PAUSE_S)

    async def step(self, cursor: str, *, block_ms: int = BLOCK_MS) -> str:
        """Copy one batch; returns where to go on: ``0`` (unfinished ones first) or ``>`` (new ones)."""
        if not self._group_exists:
            await self._make_group()
        reply: Any = await self._redis.xreadgroup(GROUP, CONSUMER, {STREAM: cursor}, count=BATCH, block=block_ms)
        messages: list[Message] = reply[0][1] if reply else []
        if not messages:
            return ">"
        with _in_their_name(messages):
            await self._copy(messages)
        await self._redis.xack(STREAM, GROUP, *[key for key, _ in messages])
        return cursor

    async def _copy(self, messages: list[Message]) -> None:
        events: list[Event] = []
        for key, fields in messages:
            try:
                events.append(Event.model_validate_json((fields or {})[b"event"]))
            except (ValidationError, KeyError):
                _LOG.error("event_unreadable", stream_id=key.decode())
        try:
            await self._insert(events)
        except (psycopg.DataError, psycopg.IntegrityError):
            self._known.clear()
            for event in events:
                try:
                    await self._insert([event])
                except (psycopg.DataError, psycopg.IntegrityError) as error:
                    _LOG.error("event_not_projected", event_id=event.event_id, reason=type(error).__name__)
        self._metrics.projected.inc(len(events))

    async def _insert(self, events: list[Event]) -> None:
        if not events:
            return
        viewers = {(event.user_id, event.user_ref) for event in events} - self._known
        async with self._database.connection(WITHIN_S) as connection:
            await users.ensure_users(connection, list(viewers))
            await interactions.insert_interactions(connection, events)
        if len(self._known) > KNOWN:
            self._known.clear()
        self._known |= viewers

    async def _make_group(self) -> None:
        try:
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # the only mark redis gives for "exists already"
                raise
        self._group_exists = True


def _in_their_name(messages: list[Message]) -> AbstractContextManager[object]:
    """A span that links to the traces in which the events came, if any of them is kept."""
    mark = telemetry.STREAM_FIELD.encode()
    traces = {fields[mark].decode("latin-1") for _, fields in messages if fields and mark in fields}
    return telemetry.span("project events", links=sorted(traces), events=len(messages)) if traces else nullcontext()
