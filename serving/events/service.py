"""Accepting events: each checked on its own, the good ones taken by Redis in one step.

Belongs here: reading the body, finding titles and viewers, the call of the accept script.
Does not belong here: what an event must look like (nexus.events), the copy in Postgres (projector).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import redis.asyncio as aioredis

from nexus import ids, telemetry
from nexus.errors import NexusError, invalid
from nexus.events import ACCEPT_SCRIPT, Accepted, Checked, accept_arguments, check
from serving.content.finder import Finder
from serving.metrics import Metrics
from serving.parts import Part
from serving.viewers.memory import Memory
from serving.viewers.store import Viewers

MAX_EVENTS = 1_000
ACCEPT_WITHIN_S = 3.0
Identifier = UUID | ids.Reference


@dataclass(slots=True)
class Outcome:
    """What became of a request's events."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


class Parsed(NamedTuple):
    """An event that passed the checks, and its place in the request."""

    place: int
    event: Checked


class Events:
    """Accepts events."""

    def __init__(
        self, client: aioredis.Redis, part: Part, finder: Finder, viewers: Viewers, memory: Memory, metrics: Metrics
    ) -> None:
        self._script = client.register_script(ACCEPT_SCRIPT)
        self._part = part
        self._finder = finder
        self._viewers = viewers
        self._memory = memory
        self._metrics = metrics

    async def accept(self, body: bytes) -> Outcome:
        """Take the events of one request body.

        Raises:
            NexusError: ``invalid`` for a body that is no list of events; ``unavailable`` when Redis is away: then
                nothing was accepted, or what was is recognised by its ids when it is sent again.
        """
        outcome, now = Outcome(), datetime.now(UTC)
        parsed = parse_events(read_events(body), now, outcome.refused)
        events = await self._resolved(parsed, now, outcome.refused)
        if events:
            fresh = await self._take(events)
            self._memory.accept(fresh)
            outcome.accepted = len(fresh)
            outcome.duplicates = len(events) - len(fresh)
        outcome.refused.sort(key=lambda one: one["index"])
        for name, count in (
            ("accepted", outcome.accepted),
            ("duplicate", outcome.duplicates),
            ("refused", len(outcome.refused)),
        ):
            self._metrics.events.labels(name).inc(count)
        return outcome

    async def _take(self, events: list[Accepted]) -> list[Accepted]:
        """Those that are new."""
        async with self._part.asking(ACCEPT_WITHIN_S):
            places = await self._script(args=accept_arguments(events, telemetry.sampled_traceparent()))
        return [events[place] for place in places]

    async def _resolved(self, parsed: list[Parsed], now: datetime, refused: list[dict[str, Any]]) -> list[Accepted]:
        """Events under the internal ids of viewer and title; those of unknown titles are refused."""
        titles = await self._finder.find_all({one.event.content for one in parsed})
        viewers = await self._viewers.resolve({one.event.user for one in parsed})
        names = {identifier: str(identifier) for identifier in viewers}
        user_ids = {identifier: str(user_id) for identifier, user_id in viewers.items()}
        known: list[Accepted] = []
        for place, event in parsed:
            content_id = titles.get(event.content)
            if content_id is None:
                refused.append(refusal(place, _unknown_content(event.content)))
                continue
            user, kind = event.user, event.type.value
            known.append(
                Accepted(
                    event.event_id, kind, user_ids[user], names[user], content_id, event.value, event.occurred_at, now
                )
            )
        return known


def read_events(body: bytes) -> list[Any]:
    """The list of raw events of a request body.

    Raises:
        NexusError: category ``invalid`` when there is none, or too many.
    """
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        shown = body[:80].decode("utf-8", "replace")
        raise invalid(
            "the body is not JSON", field="body", value=shown, remedy=f'send {{"events": [...]}}; {error}'
        ) from None
    events = decoded.get("events") if isinstance(decoded, dict) else None
    if not isinstance(events, list):
        raise invalid("the body has no list of events", field="events", value=events, remedy='send {"events": [...]}')
    unknown = sorted(set(decoded) - {"events"})
    if unknown:
        raise invalid("the body has no such field", field=unknown[0], value=decoded[unknown[0]], remedy="leave it out")
    if len(events) > MAX_EVENTS:
        raise invalid(
            "too many events at once", field="events", value=len(events), remedy=f"send at most {MAX_EVENTS} a request"
        )
    return events


def parse_events(raw_events: list[Any], now: datetime, refused: list[dict[str, Any]]) -> list[Parsed]:
    """Check each event; what is wrong goes to ``refused``."""
    parsed: list[Parsed] = []
    for index, raw in enumerate(raw_events):
        try:
            parsed.append(Parsed(index, check(raw, now=now)))
        except NexusError as error:
            refused.append(refusal(index, error))
    return parsed


def refusal(index: int, error: NexusError) -> dict[str, Any]:
    """One line of ``refused``."""
    return {
        "index": index,
        "field": error.field or "event",
        "reason": error.message,
        "value": error.value,
        "remedy": error.remedy,
    }


def _unknown_content(content: Identifier) -> NexusError:
    return invalid("no such title", field="content", value=content, remedy="add it first: POST /v1/content")
