"""Rows of two small tables, and work that starts at once, for tests of writers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TypeVar

import pyarrow as pa

from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake

VIEWERS, EVENTS = "marts_nexus__viewer_stats", "core_nexus__events"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
Result = TypeVar("Result")


def viewers(*names: str, interactions: int = 1) -> pa.Table:
    rows = [
        {"user_id": name, "interactions": interactions, "mean_value": None, "first_at": NOW, "last_at": NOW}
        for name in names
    ]
    return pa.Table.from_pylist(rows, schema=declared(VIEWERS).schema)


def events(day: date, *names: str) -> pa.Table:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = [
        {"event_id": name, "event_type": "like", "user_id": "u", "user_ref": "u", "content_id": "c", "value": None,
         "occurred_at": at, "received_at": at, "stream_id": "1-1", "day": day}
        for name in names
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=declared(EVENTS).schema)


def at_once(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Run the same work in threads that start together; the results by number."""
    barrier: threading.Barrier = threading.Barrier(count)
    results: dict[int, Result] = {}

    def go(number: int) -> None:
        barrier.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return [results[number] for number in range(count)]


def names(lake: Lake, version: int | None = None) -> list[str]:
    return sorted(lake.read(VIEWERS, version=version).column("user_id").to_pylist())
