"""What this process has read or accepted of viewers lately, for when their stores are away.

Belongs here: a bounded memory. Does not belong here: anything durable.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from uuid import UUID

from nexus.events import Event
from serving.viewers.viewer import Entry, Viewer, hidden_by, merge

AT_MOST = 5_000


class Memory:
    """The viewers that were read or wrote most lately."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self._viewers: OrderedDict[UUID, tuple[Sequence[Entry], frozenset[str]]] = OrderedDict()

    def keep(self, viewer: Viewer) -> None:
        """Remember a viewer as they were read."""
        self._put(viewer.user_id, viewer.entries, viewer.hidden)

    def accept(self, events: Iterable[Event]) -> None:
        """Remember events that were just accepted."""
        fresh: dict[UUID, list[Entry]] = {}
        for event in events:
            entry: Entry = {
                "event_id": event.event_id,
                "type": str(event.type),
                "content_id": str(event.content_id),
                "value": event.value,
                "at_ms": int(event.occurred_at.timestamp() * 1000),
            }
            fresh.setdefault(event.user_id, []).append(entry)
        for user_id, entries in fresh.items():
            before, hidden = self._viewers.get(user_id, ((), frozenset[str]()))
            shown = {entry["content_id"] for entry in entries if entry["type"] == "unhide"}
            self._put(user_id, merge(before, entries), (hidden - shown) | hidden_by(entries))

    def get(self, user_id: UUID) -> tuple[Sequence[Entry], frozenset[str]]:
        """Entries and hidden titles of a viewer; empty when there is no memory of them."""
        return self._viewers.get(user_id, ((), frozenset()))

    def __contains__(self, user_id: UUID) -> bool:
        return user_id in self._viewers

    def _put(self, user_id: UUID, entries: Sequence[Entry], hidden: frozenset[str]) -> None:
        self._viewers[user_id] = (entries, hidden)
        self._viewers.move_to_end(user_id)
        while len(self._viewers) > self._at_most:
            self._viewers.popitem(last=False)
