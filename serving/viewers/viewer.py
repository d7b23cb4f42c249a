"""A viewer as serving knows them: what they did, newest first, and what follows from it.

Belongs here: pure rules over history entries (seen, hidden, liked, what the model is told).
Does not belong here: reading or keeping them (serving.viewers.store).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypedDict
from uuid import UUID

import orjson

from nexus import logs
from nexus.events import SEEN_TYPES, EventType, HistoryEntry, preference

_LOG = logs.get(__name__)
_SEEN = frozenset(str(kind) for kind in SEEN_TYPES)
LIKED_FROM = 3.5
"""A rating from here on counts as liking."""

DISLIKED_BELOW = 2.5
"""A rating below this speaks against the title; between the two it says neither."""


Degraded = Literal["history_incomplete", "history_from_snapshot", "history_unknown"]


class Entry(TypedDict):
    """One line of history: a :class:`nexus.events.HistoryEntry` as plain data."""

    event_id: str
    type: str
    content_id: str
    value: float | None
    at_ms: int


@dataclass(frozen=True)
class Viewer:
    """One viewer at the moment of a request."""

    user_id: UUID
    entries: Sequence[Entry] = ()
    hidden: frozenset[str] = frozenset()
    is_complete: bool = field(default=True)
    """False when a store was away, so that older entries may be missing."""
    version: bytes | None = None
    """What names this state of the history in Redis (nexus.events.restored_key); None: it may not be complete there."""
    degraded: Degraded | None = None
    """What to tell of an incomplete history."""

    def seen(self) -> set[str]:
        """Titles that must not be recommended because they were watched."""
        return set(self._newest)

    def barred(self) -> set[str]:
        """Seen or hidden."""
        return self.seen() | self.hidden

    def watched(self) -> list[Entry]:
        """The newest viewing of each title, newest first."""
        return list(self._newest.values())

    @cached_property
    def _newest(self) -> dict[str, Entry]:
        """By title: a request asks several times."""
        newest: dict[str, Entry] = {}
        for entry in self.entries:
            if entry["type"] in _SEEN:
                newest.setdefault(entry["content_id"], entry)
        return newest

    def liked(self) -> list[Entry]:
        """Watched titles without those that were not liked; all watched ones when nothing is left."""
        watched = self.watched()
        return [entry for entry in watched if is_liked(entry)] or watched


def is_liked(entry: Entry) -> bool:
    """Whether a viewing speaks for more of the same."""
    if entry["type"] == EventType.DISLIKE:
        return False
    if entry["type"] == EventType.RATE:
        return (entry["value"] or 0.0) >= LIKED_FROM
    return True


def is_disliked(entry: Entry) -> bool:
    """Whether a viewing speaks against more of the same."""
    value = entry["value"]
    return entry["type"] == EventType.DISLIKE or (
        entry["type"] == EventType.RATE and value is not None and value < DISLIKED_BELOW
    )


def signal(entry: Entry) -> float:
    """What the model is told about a viewing."""
    return preference(EventType(entry["type"]), entry["value"])


def from_members(members: Sequence[bytes]) -> list[Entry]:
    """Entries of a sorted set's members, newest first; one that is damaged is left out and logged."""
    try:
        entries: list[Entry] = orjson.loads(b"[" + b",".join(members) + b"]")
    except orjson.JSONDecodeError:
        entries = []
        for member in members:
            try:
                entries.append(orjson.loads(member))
            except orjson.JSONDecodeError:
                _LOG.warning("history_member_damaged", length=len(member))
    entries.sort(key=_order, reverse=True)
    return entries


def from_entries(entries: Iterable[HistoryEntry]) -> list[Entry]:
    """Entries of the database's rows."""
    return [
        {
            "event_id": entry.event_id,
            "type": str(entry.type),
            "content_id": str(entry.content_id),
            "value": entry.value,
            "at_ms": entry.at_ms,
        }
        for entry in entries
    ]


def merge(*sources: Iterable[Entry]) -> list[Entry]:
    """One history out of several, each event once, newest first."""
    by_event: dict[str, Entry] = {}
    for source in sources:
        for entry in source:
            by_event.setdefault(entry["event_id"], entry)
    return sorted(by_event.values(), key=_order, reverse=True)


def _order(entry: Entry) -> tuple[int, str]:
    """The order that the model was trained on: by time, then by event id (many sources know seconds only)."""
    return entry["at_ms"], entry["event_id"]


def hidden_by(entries: Iterable[Entry]) -> frozenset[str]:
    """Titles that are hidden after all these entries."""
    last: dict[str, str] = {}
    for entry in sorted(entries, key=_order):
        if entry["type"] in {EventType.HIDE, EventType.UNHIDE}:
            last[entry["content_id"]] = entry["type"]
    return frozenset(content_id for content_id, kind in last.items() if kind == EventType.HIDE)
