"""Viewer events: what one is, how it is checked, and how it is accepted exactly once into Redis.

Belongs here: the event's shape and rules, the Redis keys, the atomic accept script, the shape of a history entry.
Does not belong here: HTTP (serving), the drain into the lake (assets), the copy in Postgres (nexus.db).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from nexus import ids
from nexus.errors import invalid

STREAM = "nexus:events"
CONTENT_STREAM = "nexus:content-events"
SERVED_STREAM = "nexus:served"
DEDUPLICATION_TTL_S = 7 * 24 * 3600
RATING_MAX = 5.0
MAX_CLOCK_SKEW = timedelta(minutes=5)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = frozenset({"event_id", "type", "user", "content", "value", "at"})


class EventType(StrEnum):
    """What a viewer did."""

    VIEW = "view"
    RATE = "rate"
    LIKE = "like"
    DISLIKE = "dislike"
    SHARE = "share"
    HIDE = "hide"
    UNHIDE = "unhide"


SEEN_TYPES = frozenset({EventType.VIEW, EventType.RATE, EventType.LIKE, EventType.DISLIKE})
"""Types after which a title counts as seen, so it is never recommended again."""

PREFERENCE_OF_TYPE = MappingProxyType({EventType.LIKE: 1.0, EventType.DISLIKE: 0.1})
"""Where a type without a value stands on the scale of :func:`preference`."""

_VALUE_RANGE: dict[EventType, tuple[float, float]] = {EventType.RATE: (0.5, RATING_MAX), EventType.VIEW: (0.0, 1.0)}


def history_key(user_id: uuid.UUID | str) -> str:
    """Sorted set: score = epoch milliseconds, member = JSON of :class:`HistoryEntry`."""
    return f"nexus:history:{user_id}"


def hidden_key(user_id: uuid.UUID | str) -> str:
    """Set of content ids that the viewer hid."""
    return f"nexus:hidden:{user_id}"


def restored_key(user_id: uuid.UUID | str) -> str:
    """Set once a viewer's history here is as complete as in Postgres; it goes when Redis is emptied.

    Its value names the state of history and hidden titles: whoever changes one of them also writes a value here that was
    never used before (:func:`new_version`, or the id of an entry of the stream). Kept answers are valid only for theirs.
    """
    return f"nexus:history-restored:{user_id}"


def new_version() -> str:
    """A value for :func:`restored_key` that was never used before."""
    return uuid.uuid4().hex


def event_key(event_id: str) -> str:
    """Marks an event id as accepted."""
    return f"nexus:event:{event_id}"


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded down; exact, so that everyone gets the same bytes of an entry."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


class Event(BaseModel):
    """An event whose fields have been checked; ids are internal."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    type: EventType
    user_id: uuid.UUID
    user_ref: str = Field(description="the id as the sender wrote it")
    content_id: uuid.UUID
    value: float | None = None
    occurred_at: datetime
    received_at: datetime


class Checked(NamedTuple):
    """A raw event whose fields are right; its ids are still those of the sender."""

    event_id: str
    type: EventType
    user: uuid.UUID | ids.Reference
    content: uuid.UUID | ids.Reference
    value: float | None
    occurred_at: datetime


class Accepted(NamedTuple):
    """What :class:`Event` says, with ids as text: made by the thousand, so it is no model."""

    event_id: str
    type: str
    user_id: str
    user_ref: str
    content_id: str
    value: float | None
    occurred_at: datetime
    received_at: datetime


class HistoryEntry(BaseModel):
    """One line of what a viewer did, as kept for serving."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    type: EventType
    content_id: uuid.UUID
    value: float | None = None
    at_ms: int = Field(description="when it happened, epoch milliseconds, UTC")

    def member(self) -> bytes:
        """The sorted-set member; equal entries give equal bytes."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


def preference(kind: EventType, value: float | None) -> float:
    """How much the viewer liked it, as models are told in training and in serving: rating / 5, else by type; 0: unknown."""
    if kind is EventType.RATE:
        return (value or 0.0) / RATING_MAX
    return PREFERENCE_OF_TYPE.get(kind, 0.0)


def value_range(kind: EventType) -> tuple[float, float] | None:
    """Lowest and highest value of an event of this type; None: it has none."""
    return _VALUE_RANGE.get(kind)


def check_value(kind: EventType, value: object) -> float | None:
    """The value of an event of this type: ``rate`` needs 0.5..5, ``view`` may give 0..1, others have none."""
    limits = _VALUE_RANGE.get(kind)
    if value is None:
        if kind is EventType.RATE:
            raise invalid("a rating needs a value", field="value", value=value, remedy="send a number from 0.5 to 5")
        return None
    if limits is None:
        raise invalid(f"a {kind} event has no value", field="value", value=value, remedy="leave value out")
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid(
            f"value of a {kind} event is out of range",
            field="value",
            value=value,
            remedy=f"send a number from {low:g} to {high:g}",
        )
    return float(value)


def check_time(text: object, *, now: datetime) -> datetime:
    """When it happened: ISO 8601 with an offset, not before 1970, not in the future; absent: now."""
    if text is None:
        return now
    remedy = "send ISO 8601 with an offset, as in 2026-01-31T20:15:00Z"
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        at = at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise invalid("at is not a time with an offset", field="at", value=text, remedy=remedy)
    if at > now + MAX_CLOCK_SKEW:
        raise invalid(
            "at lies in the future", field="at", value=text, remedy="send the time it happened, or leave at out"
        )
    if at < EARLIEST:
        raise invalid(
            "at lies before 1970", field="at", value=text, remedy="send the time it happened, or leave at out"
        )
    return min(at, now)


def check_event_id(text: object) -> str:
    """The sender's id of the event: 1 to 128 visible characters."""
    if isinstance(text, str) and 1 <= len(text) <= 128 and text.isprintable() and " " not in text:
        return text  # the plain blank is the only one that counts as printable
    raise invalid(
        "event_id is not an id", field="event_id", value=text, remedy="send 1 to 128 characters without blanks"
    )


def check(raw: object, *, now: datetime) -> Checked:
    """Check one raw event of a request.

    Args:
        raw: The decoded JSON object.
        now: The time of the request, UTC.

    Raises:
        NexusError: category ``invalid``, with the field at fault.
    """
    if not isinstance(raw, dict):
        raise invalid("an event is a JSON object", field="events", value=raw, remedy="send objects in events")
    fields: dict[str, Any] = raw
    if not fields.keys() <= _FIELDS:
        unknown = min(fields.keys() - _FIELDS)
        raise invalid("an event has no such field", field=unknown, value=fields[unknown], remedy="leave it out")
    event_id = check_event_id(fields.get("event_id"))
    try:
        kind = EventType(fields.get("type"))  # type: ignore[arg-type]
    except ValueError:
        raise invalid(
            "unknown type of event",
            field="type",
            value=fields.get("type"),
            remedy=f"send one of {', '.join(EventType)}",
        ) from None
    return Checked(
        event_id,
        kind,
        ids.parse(fields.get("user"), field="user"),
        ids.parse(fields.get("content"), field="content"),
        check_value(kind, fields.get("value")),
        check_time(fields.get("at"), now=now),
    )


def parse(raw: object, *, now: datetime) -> tuple[Event, ids.Reference | uuid.UUID]:
    """Check one raw event, and give it the ids under which its viewer and title would be known when first seen.

    Returns:
        The event, and the content reference itself: the caller looks it up and refuses what is unknown.

    Raises:
        NexusError: category ``invalid``, with the field at fault.
    """
    found = check(raw, now=now)
    event = Event(
        event_id=found.event_id,
        type=found.type,
        user_id=ids.internal("user", found.user),
        user_ref=str(found.user),
        content_id=ids.internal("content", found.content),
        value=found.value,
        occurred_at=found.occurred_at,
        received_at=now,
    )
    return event, found.content


# One call accepts a batch: for each event, if its id is new, mark it, append it to the stream and update the
# viewer's history (or hidden set). All or nothing, because Redis runs a script alone. It returns the places (from 0) of the
# new ones. A viewer whose history is complete gets a new version, so that answers made from the old one are void.
ACCEPT_SCRIPT = """
local ttl, trace = ARGV[1], ARGV[2]
local call = redis.call
local fresh = {}
local changed = {}
for i = 3, #ARGV, 7 do
  local user, content, kind = ARGV[i+2], ARGV[i+3], ARGV[i+4]
  if call('SET', 'nexus:event:' .. ARGV[i], 1, 'NX', 'EX', ttl) then
    local id = trace == '' and call('XADD', 'nexus:events', '*', 'event', ARGV[i+1])
      or call('XADD', 'nexus:events', '*', 'event', ARGV[i+1], 'traceparent', trace)
    call('ZADD', 'nexus:history:' .. user, ARGV[i+5], ARGV[i+6])
    if kind == 'hide' then call('SADD', 'nexus:hidden:' .. user, content) end
    if kind == 'unhide' then call('SREM', 'nexus:hidden:' .. user, content) end
    changed[user] = id
    fresh[#fresh + 1] = (i - 3) / 7
  end
end
for user, id in pairs(changed) do call('SET', 'nexus:history-restored:' .. user, id, 'XX') end
return fresh
"""


def accept_arguments(events: Iterable[Event | Accepted], traceparent: str | None = None) -> list[str | bytes | int]:
    """The arguments of :data:`ACCEPT_SCRIPT` for a batch, and the trace it came in, if that is kept."""
    arguments: list[str | bytes | int] = [DEDUPLICATION_TTL_S, traceparent or ""]
    for event in events:
        event_id, kind, content_id, value = event.event_id, str(event.type), str(event.content_id), event.value
        user_id, at_ms = str(event.user_id), epoch_ms(event.occurred_at)
        body = {
            "event_id": event_id,
            "type": kind,
            "user_id": user_id,
            "user_ref": event.user_ref,
            "content_id": content_id,
            "value": value,
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
        }
        # The same bytes as HistoryEntry.member: names in the order of the alphabet.
        entry = {"at_ms": at_ms, "content_id": content_id, "event_id": event_id, "type": kind, "value": value}
        arguments += (
            event_id,
            orjson.dumps(body, option=orjson.OPT_UTC_Z),
            user_id,
            content_id,
            kind,
            at_ms,
            orjson.dumps(entry),
        )
    return arguments
