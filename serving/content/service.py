"""Titles: one, those like it, those that mean what was asked, and taking in another.

Belongs here: blending meaning and letters, and what happens when a part is away.
Does not belong here: vectors and their search (vectors, nexus.db), how text becomes a vector (media.text).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from nexus import ids, logs
from nexus.db.embeddings import nearest
from nexus.db.library import find_vectors
from nexus.errors import NexusError
from serving.content.catalogue import Catalogue
from serving.content.embedding import QueryEmbedder
from serving.content.finder import Finder
from serving.content.vectors import Matrix, Vectors
from serving.parts import Database

WITHIN_S = 1.0
EMBED_WITHIN_S = 4.0
_LOG = logs.get(__name__)


class Content:
    """Answers questions about titles."""

    def __init__(
        self,
        finder: Finder,
        catalogue: Callable[[], Catalogue],
        vectors: Callable[[], Vectors],
        database: Database,
        embedder: QueryEmbedder,
    ) -> None:
        self._finder = finder
        self._catalogue = catalogue
        self._vectors = vectors
        self._database = database
        self._embedder = embedder

    async def get(self, identifier: UUID | ids.Reference) -> dict[str, Any]:
        """One title."""
        return (await self._finder.get(identifier)).as_content()

    async def similar(self, identifier: UUID | ids.Reference, limit: int) -> list[dict[str, Any]]:
        """Titles whose text is alike; none for a title without a vector.

        Raises:
            NexusError: ``not_found``; ``unavailable`` when not all vectors are held and Postgres is away.
        """
        title = await self._finder.get(identifier)
        _, vector = self._vectors().of([title.content_id])
        if not len(vector) and not self._vectors().is_whole:
            async with self._database.connection(WITHIN_S) as connection:
                _, vector = await find_vectors(connection, [title.content_id])
        if not len(vector):
            return []
        return await self._near(vector[0], limit, frozenset({title.content_id}))

    async def search(self, query: str, limit: int) -> list[dict[str, Any]]:
        """Titles by what they mean; one that is called what was asked comes first."""
        by_name = await asyncio.to_thread(by_letters, self._catalogue(), query, limit)
        by_meaning: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(EMBED_WITHIN_S):
                vector = await self._embedder.embed(query)
            by_meaning = await self._near(vector, limit, frozenset())
        except (TimeoutError, NexusError, OSError, RuntimeError) as error:
            _LOG.warning("search_by_letters_only", cause=type(error).__name__, reason=str(error)[:200])
        named = dict(by_name)
        catalogue = self._catalogue()
        items = [
            catalogue.titles[catalogue.rows[one]].as_item() | {"score": score}
            for one, score in by_name
            if one in catalogue.rows
        ]
        items += [item for item in by_meaning if item["content_id"] not in named]
        items.sort(key=lambda item: -item["score"])
        return items[:limit]

    async def _near(self, vector: Matrix, limit: int, exclude: frozenset[str]) -> list[dict[str, Any]]:
        """Titles by nearness: exactly where all vectors are held, else as pgvector finds them."""
        vectors = self._vectors()
        if vectors.is_whole:
            pairs = await asyncio.to_thread(vectors.nearest, vector, limit, exclude)
        else:
            async with self._database.connection(WITHIN_S) as connection:
                found = await nearest(connection, vector, limit, [UUID(one) for one in exclude])
            pairs = [(str(content_id), similarity) for content_id, similarity in found]
        catalogue = self._catalogue()
        return [
            catalogue.titles[catalogue.rows[one]].as_item() | {"score": score}
            for one, score in pairs
            if one in catalogue.rows
        ]


def by_letters(catalogue: Catalogue, query: str, limit: int) -> list[tuple[str, float]]:
    """Titles that are called like the query: the same name 2, its beginning 1 to 2, inside it 1; near misses below."""
    wanted = query.casefold().strip()
    found: list[tuple[float, int]] = []
    grams = trigrams(wanted)
    for row, name in enumerate(catalogue.folded):
        if wanted in name:
            share = len(wanted) / len(name)
            found.append((1.0 + share if name.startswith(wanted) else 0.6 + 0.4 * share, row))
        elif len(grams) > 1:
            common = len(grams & trigrams(name))
            if common * 2 > len(grams) and (ratio := SequenceMatcher(None, wanted, name).ratio()) > 0.75:
                found.append((ratio, row))
    found.sort(key=lambda pair: (-pair[0], -catalogue.titles[pair[1]].interactions, pair[1]))
    return [(catalogue.titles[row].content_id, score) for score, row in found[:limit]]


def trigrams(text: str) -> set[str]:
    """Every three letters in a row."""
    return {text[start : start + 3] for start in range(max(1, len(text) - 2))}
