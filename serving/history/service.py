"""What a viewer watched, newest first.

Belongs here: the list as an answer shows it. Does not belong here: where it is read (serving.viewers.store).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from nexus import ids
from nexus.events import SEEN_TYPES
from serving.content.catalogue import Catalogue
from serving.viewers.store import Viewers
from serving.viewers.viewer import Entry

_SHOWN = frozenset(str(kind) for kind in SEEN_TYPES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class History:
    """Shows histories."""

    def __init__(self, viewers: Viewers, catalogue: Callable[[], Catalogue]) -> None:
        self._viewers = viewers
        self._catalogue = catalogue

    async def newest(self, identifier: UUID | ids.Reference, limit: int) -> list[dict[str, Any]]:
        """The newest viewings.

        Raises:
            NexusError: ``not_found``; ``unavailable`` when no store answers.
        """
        viewer = await self._viewers.read(identifier)
        catalogue = self._catalogue()
        shown = [entry for entry in viewer.entries if entry["type"] in _SHOWN][:limit]
        return [_line(entry, catalogue) for entry in shown]


def _line(entry: Entry, catalogue: Catalogue) -> dict[str, Any]:
    title = catalogue.get(entry["content_id"])
    item = title.as_item() if title else {"content_id": entry["content_id"], "title": catalogue.name("")}
    at = _EPOCH + timedelta(milliseconds=entry["at_ms"])
    return item | {"type": entry["type"], "value": entry["value"], "at": at}
