"""Who is here: viewers with their names and how much they did, for picking one.

Belongs here: the list and its order. Does not belong here: one viewer's history.
"""

from __future__ import annotations

from time import monotonic
from typing import Any
from uuid import UUID

import redis.asyncio as aioredis

from nexus.db import users
from nexus.errors import NexusError
from nexus.events import history_key
from nexus.ids import Reference
from serving.parts import Database, Part

FRESH_S = 10.0
PAGE = 1_000
AT_MOST = 20_000
WITHIN_S = 5.0
Known = tuple[UUID, tuple[Reference, ...]]


class Directory:
    """Lists viewers; the list is kept for some seconds."""

    def __init__(self, client: aioredis.Redis, part: Part, database: Database) -> None:
        self._redis = client
        self._part = part
        self._database = database
        self._kept: list[dict[str, Any]] = []
        self._kept_at = float("-inf")

    async def find(self, limit: int, query: str) -> list[dict[str, Any]]:
        """Viewers whose name or id contains the query, the most active first.

        Raises:
            NexusError: ``unavailable`` when Postgres is away and there is no earlier list.
        """
        if monotonic() - self._kept_at > FRESH_S:
            await self._refresh()
        wanted = query.casefold().strip()
        found = [one for one in self._kept if wanted in one["name"].casefold() or wanted in str(one["user_id"])]
        found.sort(key=lambda one: wanted not in {one["name"], str(one["user_id"])})
        return found[:limit]

    async def _refresh(self) -> None:
        try:
            known = await self._all()
        except NexusError:
            if not self._kept:
                raise
            return
        counts = await self._counts(known)
        entries = [_viewer(one, count) for one, count in zip(known, counts, strict=True)]
        entries.sort(key=lambda one: (-(one["interactions"] or 0), len(one["name"]), one["name"]))
        self._kept, self._kept_at = entries, monotonic()

    async def _all(self) -> list[Known]:
        known: list[Known] = []
        async with self._database.connection(WITHIN_S) as connection:
            while len(known) < AT_MOST:
                page = await users.list_users(connection, limit=PAGE, after=known[-1][0] if known else None)
                known += page
                if len(page) < PAGE:
                    break
        return known

    async def _counts(self, known: list[Known]) -> list[int | None]:
        try:
            async with self._part.asking(WITHIN_S):
                pipe = self._redis.pipeline(transaction=False)
                for user_id, _ in known:
                    pipe.zcard(history_key(user_id))
                counts: list[int | None] = await pipe.execute()
        except NexusError:
            return [None] * len(known)
        return counts


def _viewer(known: Known, interactions: int | None) -> dict[str, Any]:
    user_id, references = known
    names = [str(reference) for reference in references]
    return {
        "user_id": user_id,
        "name": names[0] if names else str(user_id),
        "external_ids": names,
        "interactions": interactions,
    }
