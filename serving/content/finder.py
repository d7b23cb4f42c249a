"""Finding titles by id: in memory, and in Postgres for what came in since the last refresh.

Belongs here: look-ups by internal or external id.
Does not belong here: search (serving.content.service).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from nexus import ids
from nexus.db import content
from nexus.errors import NexusError, not_found
from serving.content.catalogue import Catalogue, Title
from serving.content.loader import to_title
from serving.parts import Database, is_unavailable

WITHIN_S = 2.0


class Finder:
    """Finds titles."""

    def __init__(self, catalogue: Callable[[], Catalogue], database: Database) -> None:
        self._catalogue = catalogue
        self._database = database

    async def find_all(self, identifiers: Iterable[UUID | ids.Reference]) -> dict[UUID | ids.Reference, str]:
        """The internal id of each title that exists, by the id it was asked for."""
        catalogue = self._catalogue()
        found: dict[UUID | ids.Reference, str] = {}
        missing: dict[str, UUID | ids.Reference] = {}
        for one in identifiers:
            title = catalogue.find(one)
            if title is None:
                missing[str(one)] = one
            else:
                found[one] = title.content_id
        if missing:
            found |= {missing[name]: title.content_id for name, title in (await self._ask(missing)).items()}
        return found

    async def get(self, identifier: UUID | ids.Reference) -> Title:
        """One title.

        Raises:
            NexusError: ``not_found``; ``unavailable`` when it is not in memory and Postgres is away.
        """
        title = self._catalogue().find(identifier)
        if title is None:
            title = (await self._ask({str(identifier): identifier}, strict=not len(self._catalogue()))).get(
                str(identifier)
            )
        if title is None:
            raise not_found(
                "no such title", field="content", value=identifier, remedy="look for it with GET /v1/search?q=..."
            )
        return title

    async def _ask(self, missing: dict[str, UUID | ids.Reference], *, strict: bool = False) -> dict[str, Title]:
        try:
            async with self._database.connection(WITHIN_S) as connection:
                rows = {name: await content.find_content(connection, one) for name, one in missing.items()}
        except NexusError as error:
            if strict or not is_unavailable(error):
                raise
            return {}
        return {name: to_title(row) for name, row in rows.items() if row is not None}
