"""What this process has read or accepted of viewers lately, for when their stores are away.

Belongs here: a bounded memory. Does not belong here: anything durable.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from nexus.events import Accepted, Event, EventType, epoch_ms
from serving.viewers.viewer import Entry, Viewer, merge

AT_MOST = 5_000
MERGE_FROM = 256
_HIDE, _UNHIDE = str(EventType.HIDE), str(EventType.UNHIDE)


@dataclass(slots=True)
class _Known:
    """A viewer as they were read, and what was accepted since, in that order; merged when somebody asks."""

    entries: Sequence[Entry] = ()
    hidden: frozenset[str] = frozenset()
    since: list[Entry] = field(default_factory=list)
    read: Viewer | None = None
    """As they were read, with what was worked out of it since; None: not all of it came from Redis."""

    def settle(self) -> None:
        """Merge what came since."""
        hidden = set(self.hidden)
        for entry in self.since:
            if entry["type"] == _HIDE:
                hidden.add(entry["content_id"])
            elif entry["type"] == _UNHIDE:
                hidden.discard(entry["content_id"])
        self.entries, self.hidden, self.since = merge(self.entries, self.since), frozenset(hidden), []
        self.read = None


class Memory:
    """The viewers that were read or wrote most lately."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self._viewers: OrderedDict[UUID, _Known] = OrderedDict()

    def keep(self, viewer: Viewer) -> None:
        """Remember a viewer as they were read."""
        self._put(viewer.user_id, _Known(viewer.entries, viewer.hidden, read=viewer if viewer.version else None))

    def read(self, user_id: UUID) -> Viewer | None:
        """The viewer as they were last read from Redis, under the version they had then; None when they were not."""
        known = self._viewers.get(user_id)
        return None if known is None else known.read

    def accept(self, events: Iterable[Event | Accepted]) -> None:
        """Remember events that were just accepted."""
        fresh: dict[str, list[Entry]] = {}
        for event in events:
            entry: Entry = {
                "event_id": event.event_id,
                "type": str(event.type),
                "content_id": str(event.content_id),
                "value": event.value,
                "at_ms": epoch_ms(event.occurred_at),
            }
            fresh.setdefault(str(event.user_id), []).append(entry)
        for text, entries in fresh.items():
            user_id = UUID(text)
            known = self._viewers.get(user_id) or _Known()
            known.since += entries
            if len(known.since) >= MERGE_FROM:
                known.settle()
            self._put(user_id, known)

    def get(self, user_id: UUID) -> tuple[Sequence[Entry], frozenset[str]]:
        """Entries and hidden titles of a viewer; empty when there is no memory of them."""
        known = self._viewers.get(user_id)
        if known is None:
            return (), frozenset()
        if known.since:
            known.settle()
        return known.entries, known.hidden

    def __contains__(self, user_id: UUID) -> bool:
        return user_id in self._viewers

    def _put(self, user_id: UUID, known: _Known) -> None:
        self._viewers[user_id] = known
        self._viewers.move_to_end(user_id)
        while len(self._viewers) > self._at_most:
            self._viewers.popitem(last=False)
