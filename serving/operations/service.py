"""Operations: taking in a title as a workflow, asking how it is doing, stopping it.

Belongs here: the way from a request to workflows.client. Does not belong here: the workflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from nexus import ids, logs
from nexus.settings import Settings
from serving.content.finder import Finder
from serving.operations.schemas import NewContent
from serving.parts import Part

START_WITHIN_S = 10.0
PROBE_WITHIN_S = 3.0
_LOG = logs.get(__name__)


class Operations:
    """Starts and asks for operations."""

    def __init__(self, settings: Settings, finder: Finder) -> None:
        self._settings = settings
        self._finder = finder
        self.part = Part("temporal", remedy="send the same request again; see bin/nexus status, parts temporal, worker")
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def ingest(self, new: NewContent) -> str:
        """Start taking in a title; returns the operation's id.

        Raises:
            NexusError: ``unavailable`` when the engine is away.
        """
        from workflows import client
        from workflows.messages import ExternalId, IngestRequest

        reference = ids.parse(new.external_id, field="external_id")
        known = await self._finder.find_all([reference])
        content_id = UUID(known[reference]) if known else ids.internal("content", reference)
        outside = (reference,) if isinstance(reference, ids.Reference) else ()
        request = IngestRequest(
            content_id=content_id,
            title=new.title,
            content_type=new.content_type,
            year=new.year,
            genres=tuple(new.genres),
            overview=new.overview,
            external_ids=tuple(ExternalId(issuer=one.issuer, value=one.value) for one in outside),
        )
        async with self.part.asking(START_WITHIN_S):
            operation_id = await client.start_ingest(await self._connected(), self._settings, request)
        _LOG.info("operation_started", operation_id=operation_id)
        return operation_id

    async def start(self, begin: Callable[[Any], Awaitable[str]]) -> str:
        """Start an operation of another area with the engine's client; returns its id.

        Raises:
            NexusError: ``unavailable`` when the engine is away.
        """
        async with self.part.asking(START_WITHIN_S):
            operation_id = await begin(await self._connected())
        _LOG.info("operation_started", operation_id=operation_id)
        return operation_id

    async def describe(self, operation_id: str) -> dict[str, Any]:
        """How an operation is doing."""
        from workflows import client

        async with self.part.asking(START_WITHIN_S):
            status = await client.describe_operation(await self._connected(), operation_id)
        return status.model_dump(mode="json")

    async def cancel(self, operation_id: str) -> None:
        """Ask an operation to stop."""
        from workflows import client

        async with self.part.asking(START_WITHIN_S + 5):
            await client.cancel_operation(await self._connected(), operation_id, "asked for through the API")

    async def probe(self) -> None:
        """Find out whether the engine answers."""
        from workflows import client

        async with self.part.asking(PROBE_WITHIN_S):
            await client.ping(await self._connected())

    async def _connected(self) -> Any:
        from workflows import client

        async with self._connecting:
            if self._client is None:
                self._client = await client.connect(self._settings, lazy=True)
        return self._client
