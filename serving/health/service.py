"""Whether this process lives, and whether it can do its work.

Belongs here: asking each part, without waiting long for any. Does not belong here: figures (serving.metrics).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis.asyncio as aioredis

from nexus.errors import NexusError
from serving.models.service import Models
from serving.operations.service import Operations
from serving.parts import Database, Part
from serving.recommendations.library import Library

WITHIN_S = 1.0
EVERY_S = 30.0


class Health:
    """Asks the parts."""

    def __init__(
        self,
        library: Callable[[], Library],
        client: aioredis.Redis,
        part: Part,
        database: Database,
        operations: Operations,
        models: Models,
    ) -> None:
        self._library = library
        self._redis = client
        self._part = part
        self._database = database
        self._operations = operations
        self._models = models

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether recommendations can be answered, and the state of everything they may use."""
        await asyncio.gather(self._ask_redis(), self._ask_postgres())
        library = self._library()
        is_ready = len(library.catalogue) > 0
        best = "champion" if library.champion else "content" if library.vectors.total else "popular"
        registry = {None: "unknown", True: "up", False: "away"}[self._models.is_up]
        return is_ready, {
            "status": "ready" if is_ready else "not_ready",
            "recommends_by": best if is_ready else None,
            "model_version": library.model_version,
            "titles": len(library.catalogue),
            "vectors": library.vectors.total,
            "parts": {
                "redis": self._part.state,
                "postgres": self._database.part.state,
                "temporal": self._operations.part.state,
                "mlflow": registry,
            },
        }

    async def watch(self) -> None:
        """Ask from time to time the parts that no request for recommendations asks."""
        while True:
            with suppress(NexusError):  # then the part is away, and says so
                await self._operations.probe()
            await self._models.probe()
            await asyncio.sleep(EVERY_S)

    async def _ask_redis(self) -> None:
        try:
            async with self._part.asking(WITHIN_S):
                await self._redis.get("nexus:ping")
        except NexusError:
            return

    async def _ask_postgres(self) -> None:
        try:
            async with self._database.connection(WITHIN_S) as connection:
                await connection.execute("select 1")
        except NexusError:
            return
