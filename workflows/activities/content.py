"""Activities on a title: store it, embed it, look around it. All idempotent.

Belongs here: the glue between messages and nexus.db / media.text. Does not belong here: SQL, the model.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from temporalio import activity

from media.text.describe import describe, text_hash
from media.text.embedder import MODEL_NAME, TextEmbedder
from nexus.db.content import CONTENT_TYPES, ContentRecord, find_content, upsert_content
from nexus.db.embeddings import find_embedding, nearest, upsert_embedding
from nexus.db.nearby import find_audience, titles_of
from nexus.db.pool import AsyncPool, acquire
from nexus.errors import NexusError, invalid, not_found, unavailable
from nexus.ids import Reference
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.messages import (
    Audience,
    ContentKey,
    IngestRequest,
    NearestRequest,
    SimilarTitle,
    SimilarTitles,
    StoredContent,
    StoredVector,
    Viewer,
)

_EMBED_ATTEMPTS = 5


class Embedder(Protocol):
    """What makes vectors of texts."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, one row a text."""
        ...


class LazyEmbedder:
    """The sentence model, loaded when it is first needed: an idle worker stays 150 MB smaller."""

    def __init__(self, cache_dir: Path, load: Callable[[Path], Embedder] = TextEmbedder.load) -> None:
        self._cache_dir = cache_dir
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Embedder | None = None

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, one row a text."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load(self._cache_dir)
        return self._loaded.embed(texts)


class ContentActivities:
    """Stores, embeds and compares titles."""

    def __init__(self, pool: AsyncPool, embedder: Embedder) -> None:
        self._pool = pool
        self._embedder = embedder

    @activity.defn(name=names.STORE_CONTENT)
    @translated
    async def store(self, request: IngestRequest) -> StoredContent:
        """Write the title to Postgres, or bring the one that is there up to date."""
        if request.content_type not in CONTENT_TYPES:
            raise invalid(
                "unknown type of content",
                field="content_type",
                value=request.content_type,
                remedy=f"send one of {', '.join(CONTENT_TYPES)}",
            )
        record = ContentRecord(
            **request.model_dump(
                include={"content_id", "title", "content_type", "year", "genres", "overview", "metadata"}
            ),
            external_ids=tuple(Reference(known.issuer, known.value) for known in request.external_ids),
        )
        async with acquire(self._pool) as connection:
            await upsert_content(connection, record)
            stored = await find_content(connection, request.content_id)
        if stored is None:
            raise _no_title(request.content_id)
        return StoredContent(content_id=stored.content_id, title=stored.title, text_hash=_text(stored)[1])

    @activity.defn(name=names.EMBED_CONTENT)
    @translated
    async def embed(self, key: ContentKey) -> StoredVector:
        """Make the vector of the text that is stored now, and store it.

        The text is read again afterwards: two operations on one title, side by side, end with the vector of the text
        that was stored last.
        """
        async with heartbeating("embedding"):
            for _ in range(_EMBED_ATTEMPTS):
                before = await self._stored(key)
                text, digest = _text(before)
                vectors = await asyncio.to_thread(self._embedder.embed, [text])
                async with acquire(self._pool) as connection:
                    await upsert_embedding(connection, key.content_id, MODEL_NAME, vectors[0], digest)
                if _text(await self._stored(key))[1] == digest:
                    return StoredVector(content_id=key.content_id, model=MODEL_NAME, text_hash=digest)
        raise unavailable("the title keeps changing", remedy="wait for the other operations on it")

    @activity.defn(name=names.FIND_SIMILAR)
    @translated
    async def similar(self, request: NearestRequest) -> SimilarTitles:
        """The titles nearest in meaning."""
        async with acquire(self._pool) as connection:
            vector = await find_embedding(connection, request.content_id, MODEL_NAME)
            if vector is None:
                raise _no_title(request.content_id)
            found = await nearest(connection, vector, request.limit, exclude=[request.content_id], model=MODEL_NAME)
            titles = await titles_of(connection, [content_id for content_id, _ in found])
        items = [
            SimilarTitle(content_id=content_id, title=titles[content_id], score=round(score, 6))
            for content_id, score in found
            if content_id in titles
        ]
        return SimilarTitles(items=tuple(items))

    @activity.defn(name=names.FIND_AUDIENCE)
    @translated
    async def audience(self, request: NearestRequest) -> Audience:
        """The viewers whose recent likes are nearest to the title."""
        async with acquire(self._pool) as connection:
            found = await find_audience(connection, request.content_id, MODEL_NAME, request.limit)
        return Audience(items=tuple(Viewer(user_id=user_id, score=round(score, 6)) for user_id, score in found))

    async def _stored(self, key: ContentKey) -> ContentRecord:
        async with acquire(self._pool) as connection:
            record = await find_content(connection, key.content_id)
        if record is None:
            raise _no_title(key.content_id)
        return record


def _text(record: ContentRecord) -> tuple[str, str]:
    """The text of a title that is embedded, and its hash."""
    text = describe(record.title, record.year, record.genres, record.overview)
    return text, text_hash(text, MODEL_NAME)


def _no_title(content_id: object) -> NexusError:
    return not_found(
        "the title is gone from the database", field="content_id", value=content_id, remedy="send the title again"
    )
