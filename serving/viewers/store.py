"""Where viewers are read from: Redis, what is missing there from Postgres, and memory when both are away.

Belongs here: who is known under an id, and their whole history.
Does not belong here: accepting events (serving.events), rules over a history (serving.viewers.viewer).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

import orjson
import redis.asyncio as aioredis

from nexus import ids, logs
from nexus.db import interactions, users
from nexus.errors import NexusError, not_found
from nexus.events import hidden_key, history_key, new_version, restored_key
from serving.parts import Database, Part, is_unavailable
from serving.viewers.memory import Memory
from serving.viewers.viewer import Entry, Viewer, from_entries, from_members, hidden_by, merge

# A late answer is better than one that does not know what was seen; a dead server is noticed at once (serving.parts).
REDIS_WITHIN_S = 1.0
POSTGRES_WITHIN_S = 2.0
WHOLE_HISTORY = 100_000
_LOG = logs.get(__name__)


class Viewers:
    """Reads viewers."""

    def __init__(self, client: aioredis.Redis, part: Part, database: Database, memory: Memory) -> None:
        self._redis = client
        self._part = part
        self._database = database
        self._memory = memory

    async def read(self, identifier: UUID | ids.Reference) -> Viewer:
        """A viewer and all they did.

        Raises:
            NexusError: ``not_found``; ``unavailable`` when nobody who answers has heard of them.
        """
        user_id = ids.internal("user", identifier)
        viewer = await self._read(user_id)
        if viewer is None:
            viewer = await self._read_known(identifier, user_id)
        self._memory.keep(viewer)
        return viewer

    async def resolve(self, identifiers: Collection[UUID | ids.Reference]) -> dict[UUID | ids.Reference, UUID]:
        """The internal id under which each sender's id is, or will be, known."""
        own: dict[UUID | ids.Reference, UUID] = {one: ids.internal("user", one) for one in identifiers}
        foreign = [one for one in own if isinstance(one, ids.Reference) and own[one] not in self._memory]
        if not foreign:
            return own
        async with self._part.asking(REDIS_WITHIN_S):
            pipe = self._redis.pipeline(transaction=False)
            for one in foreign:
                pipe.exists(history_key(own[one]))
            known = await pipe.execute()
        unknown = [one for one, is_known in zip(foreign, known, strict=True) if not is_known]
        if unknown:
            own.update(await self._other_names(unknown))
        return own

    async def _other_names(self, references: list[ids.Reference]) -> Mapping[UUID | ids.Reference, UUID]:
        """Further external ids of viewers that are known under another one."""
        try:
            async with self._database.connection(POSTGRES_WITHIN_S) as connection:
                found = await users.resolve_users(connection, references)
        except NexusError as error:
            if not is_unavailable(error):
                raise
            return {}
        return dict(found.items())

    async def _read_known(self, identifier: UUID | ids.Reference, user_id: UUID) -> Viewer:
        """A viewer of whom Redis has nothing, or says nothing: from Postgres, or else from memory."""
        try:
            return await self._read_elsewhere(identifier, user_id)
        except NexusError as error:
            if user_id not in self._memory or not is_unavailable(error):
                raise
            return Viewer(user_id, *self._memory.get(user_id), is_complete=False, degraded="history_incomplete")

    async def _read_elsewhere(self, identifier: UUID | ids.Reference, user_id: UUID) -> Viewer:
        async with self._database.connection(POSTGRES_WITHIN_S) as connection:
            found = await users.find_user(connection, identifier)
        if found is None and user_id not in self._memory:
            raise unknown_viewer(identifier)
        if found is not None and found != user_id:
            return await self._read(found) or await self._from_postgres(found, [])
        return await self._from_postgres(user_id, self._memory.get(user_id)[0])

    async def _read(self, user_id: UUID) -> Viewer | None:
        """A viewer of whom Redis has something; None otherwise, or when it is away."""
        known = self._memory.read(user_id)
        try:
            async with self._part.asking(REDIS_WITHIN_S):
                if known is not None and await self._redis.get(restored_key(user_id)) == known.version:
                    return known
                pipe = self._redis.pipeline(transaction=False)
                # The version first: an event that comes in between makes it old, never the history.
                pipe.get(restored_key(user_id))
                pipe.zrevrange(history_key(user_id), 0, -1)
                pipe.smembers(hidden_key(user_id))
                version, members, hidden = await pipe.execute()
        except NexusError:
            return None
        entries = from_members(members)
        shut = frozenset(one.decode() for one in hidden)
        if version is not None:
            return Viewer(user_id, entries, shut, version=version)
        if not entries:
            return None
        return await self._restore(Viewer(user_id, entries, shut))

    async def _restore(self, viewer: Viewer) -> Viewer:
        """Put back what Redis does not have of a viewer (it was emptied, or never filled), once."""
        try:
            async with self._database.connection(POSTGRES_WITHIN_S) as connection:
                kept = from_entries(await interactions.history(connection, viewer.user_id, WHOLE_HISTORY))
        except NexusError:
            remembered, hidden = self._memory.get(viewer.user_id)
            entries = merge(viewer.entries, remembered)
            shut = viewer.hidden | hidden
            return Viewer(viewer.user_id, entries, shut, is_complete=False, degraded="history_incomplete")
        entries = merge(viewer.entries, kept)
        shut = viewer.hidden | hidden_by(entries)
        await self._fill(viewer.user_id, kept, shut)
        return Viewer(viewer.user_id, entries, shut)

    async def _from_postgres(self, user_id: UUID, remembered: Iterable[Entry]) -> Viewer:
        async with self._database.connection(POSTGRES_WITHIN_S) as connection:
            kept = from_entries(await interactions.history(connection, user_id, WHOLE_HISTORY))
        entries = merge(kept, remembered)
        shut = hidden_by(entries)
        await self._fill(user_id, kept, shut)
        return Viewer(user_id, entries, shut)

    async def _fill(self, user_id: UUID, kept: list[Entry], hidden: frozenset[str]) -> None:
        try:
            async with self._part.asking(REDIS_WITHIN_S):
                pipe = self._redis.pipeline(transaction=True)
                if kept:
                    pipe.zadd(history_key(user_id), {member(entry): entry["at_ms"] for entry in kept})
                if hidden:
                    pipe.sadd(hidden_key(user_id), *hidden)
                pipe.set(restored_key(user_id), new_version())
                await pipe.execute()
        except NexusError:
            _LOG.info("history_not_restored", entries=len(kept))


def member(entry: Entry) -> bytes:
    """The same bytes as :meth:`nexus.events.HistoryEntry.member`, so that restoring adds nothing twice."""
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


def unknown_viewer(identifier: object) -> NexusError:
    """The error for a viewer nobody has heard of."""
    return not_found(
        "no such viewer", field="user", value=identifier, remedy="GET /v1/users lists them; or send a first event"
    )
