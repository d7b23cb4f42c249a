"""Reading a list in pages while it changes: no item that stays is lost, none is given twice.

Jellyfin pages by position. What is put in before the position shifts items down, so that they come twice; what is
taken out shifts items up, so that a page would pass over them. Each page therefore begins a little before the end of
the last one: where they do not meet, the walk steps back. At the end the beginning is read again, for what came there.
Belongs here: paging. Does not belong here: HTTP (client), what items mean (shapes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nexus.errors import unavailable

Item = Any
_OVERLAP = 10
_MAX_STEPS_BACK = 50
_MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Page:
    """Items from a position on; ``total`` when the server says how many there are."""

    items: list[Item]
    total: int | None


Fetch = Callable[[int, int], Page]
IsEnough = Callable[[list[Item]], bool]


def walk(fetch: Fetch, *, limit: int, key: Callable[[Item], str], is_enough: IsEnough | None = None) -> Iterator[Item]:
    """Every item, once.

    Args:
        fetch: Position and number of items -> page.
        limit: Items of a page.
        key: What an item is known by.
        is_enough: Whether nothing new can follow a page; None: read to the end.

    Raises:
        NexusError: category ``unavailable`` when the list changes faster than it can be read.
    """
    seen: set[str] = set()
    for number in range(_MAX_ROUNDS):
        found, pages = False, 0
        for page in _pages(fetch, limit, key):
            fresh = [(name, item) for item in page if (name := key(item)) not in seen]
            for name, item in fresh:
                if name not in seen:
                    seen.add(name)
                    yield item
            found, pages = found or bool(fresh), pages + 1
            # In later rounds only the beginning is of interest: what came while the rest was read.
            if (number and not fresh) or (is_enough is not None and is_enough(page)):
                break
        # A list that one page holds cannot change between pages.
        if not found or (number == 0 and pages <= 1):
            return
    raise _too_fast()


def _pages(fetch: Fetch, limit: int, key: Callable[[Item], str]) -> Iterator[list[Item]]:
    """Pages that meet each other."""
    start, steps_back = 0, 0
    tail: set[str] = set()
    while True:
        page = fetch(start, limit)
        names = [key(item) for item in page.items]
        if tail and not tail & set(names) and start > 0:
            steps_back += 1
            if steps_back > _MAX_STEPS_BACK:
                raise _too_fast()
            start = max(0, start - max(1, limit - _OVERLAP))
            continue
        yield page.items
        if not names or (len(names) < limit if page.total is None else start + len(names) >= page.total):
            return
        overlap = min(_OVERLAP, len(names) - 1)
        start += len(names) - overlap
        tail = set(names[-overlap:]) if overlap else set()


def _too_fast() -> Exception:
    return unavailable(
        "Jellyfin's list changes faster than it can be read",
        remedy="wait until the library scan is done, then pull again",
    )
