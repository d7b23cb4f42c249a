"""What is new since a model was last judged: staged loads, and events of the API.

Belongs here: counting it cheaply (a sensor asks every minute), and the decision whether it is worth a training.
Does not belong here: Dagster's events and runs (assets.schedules).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from media.sources.base import staged_loads
from media.sources.review import is_taken
from nexus.events import STREAM
from nexus.lake.drain import waiting
from nexus.lake.lake import Lake
from nexus.settings import Settings

SETTLED = timedelta(seconds=60)
"""A load younger than this is left to the command that staged it."""
_EVENTS = "raw_nexus__events"


@dataclass(frozen=True, slots=True)
class News:
    """What no model was judged on.

    Attributes:
        loads: Ids of loads that wait in the inbox.
        events: Events of the API in the lake and in the stream, of all time.
        new_events: Those of them that the last judged model did not know.
    """

    loads: tuple[str, ...]
    events: int
    new_events: int

    @property
    def run_key(self) -> str:
        """Equal for the same news: they are asked for once."""
        if self.loads:
            return "loads:" + hashlib.sha256("\n".join(self.loads).encode()).hexdigest()[:16]
        return f"events:{self.events}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to train, and why (not)."""

    is_worth_it: bool
    reason: str


def collect(settings: Settings, lake: Lake, client: Any, *, known_events: int, now: datetime | None = None) -> News:
    """Look into inbox, lake and stream.

    Args:
        settings: The platform's.
        lake: Its lake.
        client: A Redis client.
        known_events: Events in the lake when the last judged model was trained.
        now: The time; default the clock's.
    """
    settled = (now or datetime.now(UTC)) - SETTLED
    inbox = [load for load in staged_loads(settings.inbox) if load.staged_at <= settled]
    loads = tuple(load.load_id for load in inbox if not is_taken(lake, load))
    drained = lake.count(_EVENTS) if lake.exists(_EVENTS) else 0
    events = drained + waiting(lake, client, stream=STREAM, table=_EVENTS, at_most=settings.training.min_new_events)
    return News(loads, events, max(events - known_events, 0))


def judge(settings: Settings, news: News, *, last_run_at: datetime | None, now: datetime | None = None) -> Verdict:
    """Is this worth a training now?

    Args:
        settings: Threshold and cool-down.
        news: What is new.
        last_run_at: When the newest run of the pipeline was asked for, by whomever.
        now: The time; default the clock's.
    """
    area = settings.training
    if news.loads:
        return Verdict(True, f"{len(news.loads)} loads wait in the inbox")
    if news.new_events < area.min_new_events:
        return Verdict(False, f"{news.new_events} new events; a training starts at {area.min_new_events}")
    rest = timedelta(seconds=area.cooldown_s)
    if last_run_at is not None and (now or datetime.now(UTC)) - last_run_at < rest:
        return Verdict(
            False,
            f"{news.new_events} new events; the last run was at {last_run_at:%H:%M}Z, and {rest} have to pass after it",
        )
    return Verdict(True, f"{news.new_events} events are new since the last judged model")
