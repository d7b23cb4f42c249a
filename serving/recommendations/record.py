"""Writing down what was served, without anybody waiting for it.

Belongs here: a bounded queue, and the task that sends it to Redis in batches. Redis away: the answers went out all the
same, and the newest records wait. Does not belong here: the record's shape (nexus.served), the drain into the lake.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
import redis.asyncio as aioredis

from nexus import logs
from nexus.errors import NexusError
from nexus.served import AT_MOST, FIELD, STREAM
from serving.content.catalogue import Catalogue
from serving.metrics import Metrics
from serving.parts import Part
from serving.recommendations.library import Library
from serving.recommendations.rungs import Pick, Source
from serving.viewers.viewer import Entry, Viewer

EVERY_S = 0.1
BATCH = 100
AT_ONCE = 4
WAITING = 5_000
WITHIN_S = 2.0
PAUSE_S = 1.0
_LOG = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """One answer as it was made; the record is written from it later."""

    recommendation_id: UUID
    at: datetime
    viewer: Viewer
    library: Library
    source: Source
    picks: Sequence[Pick]
    used: Sequence[Entry]
    reasons: Sequence[dict[str, Any]]
    """Of each pick, as they were shown."""


def record(made: Made) -> bytes:
    """The answer as :class:`nexus.served.Served`, in JSON."""
    champion = made.library.champion if made.source is Source.CHAMPION else None
    catalogue = made.library.catalogue
    shown = list(zip(made.picks, made.reasons, strict=True))
    body = {
        "recommendation_id": made.recommendation_id,
        "user_id": made.viewer.user_id,
        "served_at": made.at,
        "rung": made.source,
        "model_version": champion.version if champion else None,
        "data_version": champion.manifest.data_version if champion else None,
        "data_hash": champion.manifest.data_hash if champion else None,
        "degraded": made.viewer.degraded,
        "history": _history(made, {one["content_id"] for _, why in shown for one in why["because"]}),
        "titles": [_title(pick, why, catalogue) for pick, why in shown],
    }
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def _history(made: Made, named: set[str]) -> list[dict[str, str]]:
    """What the rung looked at, newest first, and what reasons name beyond that."""
    lines = {entry["event_id"]: entry["content_id"] for entry in made.used}
    missing = named - set(lines.values())
    if missing:
        lines |= {e["event_id"]: e["content_id"] for e in made.viewer.watched() if e["content_id"] in missing}
    return [{"event_id": event_id, "content_id": content_id} for event_id, content_id in lines.items()]


def _title(pick: Pick, why: dict[str, Any], catalogue: Catalogue) -> dict[str, object]:
    return {
        "content_id": pick.content_id,
        "title": catalogue.name(pick.content_id),
        "score": pick.score,
        "is_new": pick.is_new,
        "text": why["text"],
        "because": [{"content_id": one["content_id"], "contribution": one["contribution"]} for one in why["because"]],
    }


class Recorder:
    """Sends records to Redis."""

    def __init__(self, client: aioredis.Redis, part: Part, metrics: Metrics, *, waiting: int = WAITING) -> None:
        self._redis = client
        self._part = part
        self._metrics = metrics
        self._waiting: deque[Made] = deque(maxlen=waiting)
        self._sending = asyncio.Lock()

    def note(self, made: Made) -> None:
        """Write down an answer, soon."""
        if len(self._waiting) == self._waiting.maxlen:
            self._metrics.served.labels("dropped").inc()
        self._waiting.append(made)

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            while self._waiting:
                if not await self.send():
                    await asyncio.sleep(PAUSE_S)

    async def send(self) -> bool:
        """Send the oldest ones; False when Redis is away, and then they wait."""
        async with self._sending:  # who stops waits for a batch that is under way, so that it is not sent twice
            return await self._send()

    async def _send(self) -> bool:
        batch = list(islice(self._waiting, BATCH))
        pipe = self._redis.pipeline(transaction=False)
        for place, made in enumerate(batch):
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # requests come first
            pipe.xadd(STREAM, {FIELD: record(made)}, maxlen=AT_MOST, approximate=True)
        try:
            async with self._part.asking(WITHIN_S):
                await pipe.execute()
        except NexusError as error:
            _LOG.info("records_wait", waiting=len(self._waiting), reason=error.message)
            return False
        sent = set(map(id, batch))
        while self._waiting and id(self._waiting[0]) in sent:
            self._waiting.popleft()
        self._metrics.served.labels("recorded").inc(len(batch))
        return True

    async def stop(self) -> None:
        """Send what waits, if Redis takes it."""
        while self._waiting and await self.send():
            pass
