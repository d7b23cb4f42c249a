"""Reading the whole library from Postgres, off the event loop, and noticing when to do it again.

Belongs here: load, fingerprint, the watch on the stream of content events.
Does not belong here: what is done with titles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from nexus import logs
from nexus.db import library
from nexus.db.content import CatalogueRow, ContentRecord, load_catalogue
from nexus.db.pool import url
from nexus.errors import NexusError
from nexus.events import CONTENT_STREAM
from nexus.settings import Settings
from serving.content.catalogue import Catalogue, Title, read_snapshot, write_snapshot
from serving.content.vectors import Vectors
from serving.parts import Database

LOOK_EVERY_S = 15.0
BLOCK_MS = 2_000
PAUSE_S = 1.0
LOAD_WITHIN_S = 300.0
_LOG = logs.get(__name__)


def to_title(row: ContentRecord) -> Title:
    """A row of the database as answers show it."""
    popularity = (row.popularity_score, row.interactions, row.mean_value) if isinstance(row, CatalogueRow) else ()
    return Title(
        str(row.content_id),
        row.title,
        row.content_type,
        row.year,
        row.genres,
        row.overview,
        tuple(str(reference) for reference in row.external_ids),
        row.metadata,
        *popularity,
    )


async def _load(dsn: str, exact_titles: int, known: Collection[str]) -> tuple[Catalogue, Vectors]:
    connection: psycopg.AsyncConnection[Any]
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        catalogue = Catalogue(map(to_title, await load_catalogue(connection)))
        return catalogue, await _vectors(connection, catalogue, exact_titles, known)


async def _vectors(
    connection: psycopg.AsyncConnection[Any], catalogue: Catalogue, exact_titles: int, known: Collection[str]
) -> Vectors:
    """All vectors; where they are too many, those of the titles that the model does not know; where these are, none."""
    total = await library.count_vectors(connection)
    if total <= exact_titles:
        return Vectors(*await library.load_vectors(connection))
    new = [content_id for content_id in catalogue.rows if content_id not in known]
    if len(new) > exact_titles:
        return Vectors(total=total)
    return Vectors(*await library.find_vectors(connection, new), total)


class Loader:
    """Keeps the process's titles and vectors fresh.

    Args:
        settings: Where Postgres is, and how many vectors are held.
        database: The door to it.
        client: Redis, whose stream says when titles change.
        on_change: Takes what was loaded; vectors None: as before.
        known: The titles of the served model's vocabulary: the same object until another model is served.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        client: aioredis.Redis,
        on_change: Callable[[Catalogue, Vectors | None], Awaitable[None]],
        known: Callable[[], Collection[str]],
    ) -> None:
        self._exact_titles = settings.serving.exact_titles
        self._known = known
        self._made_for: Collection[str] | None = None
        """The vocabulary that the held vectors complement; None: all vectors are held."""
        self._dsn = url(settings, "api")
        self._folder = Path(settings.bundle_url)
        self._database = database
        self._redis = client
        self._on_change = on_change
        self._fingerprint: str | None = None

    async def start(self) -> None:
        """Titles at once: from Postgres, or from what an earlier run left on disk."""
        try:
            await self.refresh()
        except NexusError as error:
            kept = await asyncio.to_thread(read_snapshot, self._folder)
            _LOG.warning("catalogue_from_snapshot", titles=len(kept or ()), reason=error.message)
            if kept is not None:
                await self._on_change(kept, None)

    async def refresh(self) -> bool:
        """Load again if anything changed; True when it did.

        Raises:
            NexusError: ``unavailable`` when Postgres is away.
        """
        async with self._database.connection(5.0) as connection:
            fingerprint = await library.fingerprint(connection)
        known = self._known()
        if fingerprint == self._fingerprint and (self._made_for is None or self._made_for is known):
            return False
        async with self._database.part.asking(LOAD_WITHIN_S):
            catalogue, vectors = await asyncio.to_thread(
                lambda: asyncio.run(_load(self._dsn, self._exact_titles, known))
            )
        await self._on_change(catalogue, vectors)
        self._fingerprint, self._made_for = fingerprint, None if vectors.is_whole else known
        _LOG.info("catalogue_loaded", titles=len(catalogue), vectors=vectors.total, held=len(vectors))
        try:
            await asyncio.to_thread(write_snapshot, self._folder, catalogue)
        except OSError as error:
            _LOG.warning("snapshot_not_written", folder=str(self._folder), reason=str(error))
        return True

    async def run(self) -> None:
        """Look for ever: at once when the stream says that content changed, else every few seconds."""
        last, looked_at = "$", monotonic()
        while True:
            try:
                reply: Any = await self._redis.xread({CONTENT_STREAM: last}, count=1_000, block=BLOCK_MS)
                if reply:
                    last = reply[0][1][-1][0].decode()
                elif last == "$":
                    last = await self._newest()
                is_due = bool(reply) or monotonic() - looked_at >= LOOK_EVERY_S
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(PAUSE_S)
                is_due = monotonic() - looked_at >= LOOK_EVERY_S
            if is_due or self._fingerprint is None:
                looked_at = monotonic()
                await self._look()

    async def _newest(self) -> str:
        """Where the stream ends now, so that nothing between two reads is missed."""
        newest: Any = await self._redis.xrevrange(CONTENT_STREAM, count=1)
        return newest[0][0].decode() if newest else "0"

    async def _look(self) -> None:
        try:
            await self.refresh()
        except NexusError as error:
            _LOG.info("catalogue_not_refreshed", reason=error.message)
            await asyncio.sleep(PAUSE_S)
