"""Text vectors of the titles that a model is trained on, from Postgres.

Belongs here: reading them in the training's order. Does not belong here: making them (assets.features.embeddings), what is learned
from them (training.content.bundled), vectors of files (training.content.vectors).
"""

from __future__ import annotations

import asyncio

from nexus import logs
from nexus.db import library
from nexus.db.pool import acquire, async_pool
from nexus.errors import NexusError
from nexus.settings import Settings
from training.content.vectors import aligned
from training.dataset import Dataset, Floats


def of(settings: Settings, data: Dataset) -> Floats | None:
    """One row a title, zeros where there is none; None when no title has one or Postgres does not give them.

    A model is worth having without them: new titles are then ranked by likeness of text alone.
    """
    try:
        ids, rows = asyncio.run(_read(settings))
    except NexusError as error:
        logs.get(__name__).warning("text_vectors_not_read", reason=error.message)
        return None
    return aligned(ids, rows, data)


async def _read(settings: Settings) -> tuple[list[str], Floats]:
    async with async_pool(settings, "pipeline", max_size=1) as pool, acquire(pool) as connection:
        return await library.load_vectors(connection)
