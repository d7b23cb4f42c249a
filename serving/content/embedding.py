"""The sentence model for search, loaded when it is first needed, away from the event loop.

Belongs here: loading once, running in a thread. Does not belong here: the model itself (media.text.embedder).
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import Any

from serving.content.vectors import Matrix


class QueryEmbedder:
    """Turns what a person asks into a vector."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._loading: asyncio.Task[Any] | None = None

    async def embed(self, text: str) -> Matrix:
        """The vector of a text. A caller that gives up does not stop the loading, nor a failed one the next."""
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.create_task(asyncio.to_thread(self._load))
        once = await asyncio.shield(self._loading)
        vector: Matrix = await asyncio.to_thread(once, text)
        return vector

    def _load(self) -> Any:
        from media.text.embedder import TextEmbedder

        embedder = TextEmbedder.load(self._cache_dir)
        return lru_cache(maxsize=256)(lambda text: embedder.embed([text])[0])
