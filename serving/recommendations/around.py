"""The vectors that one request needs of a library too large to hold them all, asked of pgvector.

Belongs here: which vectors a rung needs, and going on without them when Postgres is away or late.
Does not belong here: choosing titles (rungs), the search (nexus.db.embeddings), when vectors are held (serving.content.loader).

A request sees a small library: what the viewer liked and what is near to it. Rungs rank that exactly, by the same rules as a
library that is held whole, so a search that is approximate costs some of the candidates, never a rule and never a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import psycopg

from nexus import logs
from nexus.db.embeddings import nearest
from nexus.db.library import find_vectors
from nexus.errors import NexusError, unavailable
from serving.content.vectors import Matrix, Vectors
from serving.recommendations.library import Library
from serving.recommendations.rungs import CONTENT_HISTORY, NEW_TITLE_HISTORY
from serving.viewers.viewer import Viewer, is_liked

CONTENT_WITHIN_S = 0.4
NEW_WITHIN_S = 0.3
POOL_WITHIN_S = 0.3
SPARE = 10
"""Candidates beyond twice the list: titles that came in since the last refresh are not offered yet."""
SEEDS = 5
"""The newest liked titles that new titles are searched around, where these are too many to hold."""
NEAR_SEED = 50
NEW_CANDIDATES = 100
_LOG = logs.get(__name__)
Connect = Callable[[float], AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]]


@asynccontextmanager
async def nowhere(_within_s: float) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """No Postgres at all."""
    raise unavailable("no Postgres to ask", remedy="hand over a connection")
    yield  # makes it a generator


class Around:
    """What one request asks.

    Args:
        connect: Opens a connection for at most so many seconds.
        library: What the process holds.
        viewer: Who asks.
    """

    def __init__(self, connect: Connect, library: Library, viewer: Viewer) -> None:
        self._connect = connect
        self._library = library
        self._viewer = viewer
        self._loop = asyncio.get_running_loop()
        self.is_settled = True
        """Whether the same would be found again a moment later: nothing failed or came late."""

    async def content(self, limit: int) -> Library:
        """Liked titles and those nearest to their mean; what may not be shown is left out by the search already.

        Raises:
            NexusError: ``unavailable``.
        """
        if self._library.vectors.is_whole:
            return self._library
        liked = [entry["content_id"] for entry in self._viewer.liked()[:CONTENT_HISTORY]]
        async with self._connect(CONTENT_WITHIN_S) as connection:
            history = await _vectors(connection, liked)
            if not len(history):
                return self._library.with_vectors(history)
            barred = [UUID(one) for one in self._viewer.barred()]
            found = await nearest(connection, history.matrix.mean(axis=0), 2 * limit + SPARE, barred)
            candidates = await _vectors(connection, [str(content_id) for content_id, _ in found])
        return self._library.with_vectors(_joined(history, candidates))

    async def new_titles(self) -> Library:
        """What new titles are chosen from; none are where Postgres does not say in time."""
        library = self._library
        if library.vectors.is_whole or not library.has_new:
            return library
        liked = [entry["content_id"] for entry in self._viewer.watched() if is_liked(entry)][:NEW_TITLE_HISTORY]
        try:
            async with self._connect(NEW_WITHIN_S) as connection:
                history = await _vectors(connection, liked)
                if len(library.new_rows):
                    return library.with_history(history)
                return library.with_vectors(_joined(history, await self._unknown(connection, history, liked)))
        except NexusError as error:
            self.is_settled = False
            _LOG.info("new_titles_left_out", reason=error.message)
            return library.with_vectors(Vectors())

    async def _unknown(
        self, connection: psycopg.AsyncConnection[Any], history: Vectors, liked: Sequence[str]
    ) -> Vectors:
        """Titles near to the newest liked ones that the model does not know: so many titles are new that some are near."""
        _, seeds = history.of(liked)
        best: dict[str, float] = {}
        for seed in seeds[:SEEDS]:
            for content_id, likeness in await nearest(connection, seed, NEAR_SEED):
                name = str(content_id)
                best[name] = max(likeness, best.get(name, likeness))
        barred = self._viewer.barred()
        new = sorted(
            (one for one in best if one not in self._library.known and one not in barred), key=lambda one: -best[one]
        )
        return await _vectors(connection, new[:NEW_CANDIDATES])

    def vectors_of(self, positions: npt.NDArray[np.intp]) -> Matrix:
        """As :meth:`Library.vectors_of_positions`, from a thread of the rungs; zeros where Postgres does not say in time."""
        library = self._library
        if library.vectors.is_whole or library.champion is None:
            return library.vectors_of_positions(positions)
        names = [library.champion.vocabulary[position] for position in positions.tolist()]
        asked = asyncio.run_coroutine_threadsafe(self._fetch(names), self._loop)
        try:
            held = asked.result(2 * POOL_WITHIN_S)
        except (NexusError, TimeoutError) as error:
            asked.cancel()
            self.is_settled = False
            _LOG.info("list_not_made_diverse", cause=type(error).__name__, reason=str(error)[:200])
            held = Vectors()
        return library.with_vectors(held).vectors_of_positions(positions)

    async def _fetch(self, names: Sequence[str]) -> Vectors:
        async with self._connect(POOL_WITHIN_S) as connection:
            return await _vectors(connection, names)


async def _vectors(connection: psycopg.AsyncConnection[Any], content_ids: Sequence[str]) -> Vectors:
    return Vectors(*await find_vectors(connection, content_ids))


def _joined(first: Vectors, second: Vectors) -> Vectors:
    """Both, each title once."""
    more = [name for name in second.content_ids if name not in first.rows]
    if not len(first) or not more:
        return second if more else first
    return Vectors((*first.content_ids, *more), np.concatenate([first.matrix, second.of(more)[1]]))
