"""Give a vector to every title that lacks a current one.

Belongs here: finding what is stale, embedding it in portions that are stored as they are made, so that a run that
dies loses one portion at most. Does not belong here: one title of an operation (workflows), the SQL (nexus.db).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg

from media.text.describe import describe, text_hash
from media.text.embedder import MODEL_NAME, Vectors
from nexus.db.content import ContentRecord
from nexus.db.embeddings import copy_embeddings, missing

PORTION = 1_024

Progress = Callable[[int, int], None]


class Embedder(Protocol):
    """What makes vectors of texts."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, one row a text."""
        ...


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a run did.

    Attributes:
        titles: Titles that were looked at.
        stale: Titles whose text had no vector yet.
        written: Vectors stored.
        seconds: Time spent on embedding and storing.
        digest: Changes with any title's text, and with the model.
    """

    titles: int
    stale: int
    written: int
    seconds: float
    digest: str


def embed_missing(
    connection: psycopg.Connection,
    load: Callable[[], Embedder],
    titles: Sequence[ContentRecord],
    on_progress: Progress | None = None,
) -> Backfill:
    """Embed and store what is stale.

    Args:
        connection: As a role that may write nexus_ai.embeddings.
        load: Gives the model; called only if something is stale.
        titles: As the database has them.
        on_progress: Called after each portion with how many are done, and of how many.
    """
    started = time.monotonic()
    texts = {str(row.content_id): describe(row.title, row.year, row.genres, row.overview) for row in titles}
    hashes = [(content_id, text_hash(text, MODEL_NAME)) for content_id, text in texts.items()]
    stale = missing(connection, MODEL_NAME, hashes)
    # Neighbours in length are embedded together, so little is padded.
    stale.sort(key=lambda pair: (len(texts[pair[0]]), pair[0]))
    written = 0
    embedder = load() if stale else None
    for start in range(0, len(stale), PORTION):
        portion = stale[start : start + PORTION]
        content_ids = [content_id for content_id, _ in portion]
        if embedder is not None:
            vectors = embedder.embed([texts[content_id] for content_id in content_ids])
            written += copy_embeddings(
                connection, MODEL_NAME, content_ids, vectors, [digest for _, digest in portion]
            ).written
        if on_progress is not None:
            on_progress(start + len(portion), len(stale))
    digest = hashlib.sha256(repr(sorted(hashes)).encode()).hexdigest()[:16]
    return Backfill(len(titles), len(stale), written, time.monotonic() - started, digest)
