"""Answers that may be given again, because nothing changed: not the viewer, not the model, not the titles.

Belongs here: which answers are kept, for how long, how much memory they take.
Does not belong here: making one (service), HTTP (fast).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from nexus.events import restored_key
from serving.recommendations.library import Library
from serving.recommendations.versions import Versions

FOR_S = 60.0
"""The model is told how old each viewing is; an answer may be this much behind."""
AT_MOST_BYTES = 32_000_000
LARGEST_BYTES = 256_000
OVERHEAD_BYTES = 1_000
LONGEST_KEY = 1_000
Key = tuple[str, bytes]
"""Path and query of the request, as they were sent."""


class KeptAnswer(NamedTuple):
    """One answer, and what it was made from."""

    body: bytes
    source: str
    viewer: str
    version: bytes
    library: object
    until: float


class Kept:
    """The answers that were given last."""

    def __init__(
        self, library: Callable[[], Library], versions: Versions, *, for_s: float = FOR_S, at_most: int = AT_MOST_BYTES
    ) -> None:
        self._library = library
        self._versions = versions
        self._for_s = for_s
        self._at_most = at_most
        self._answers: OrderedDict[Key, KeptAnswer] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    async def find(self, key: Key) -> KeptAnswer | None:
        """The answer to the same question, if it would be the same now."""
        kept = self._answers.get(key)
        if kept is None:
            return None
        is_same = monotonic() < kept.until and await self._versions.of(kept.viewer) == kept.version
        if is_same and kept.library is self._library().token:  # looked at last: it may be swapped while we wait
            if key in self._answers:
                self._answers.move_to_end(key)
            return kept
        if self._answers.get(key) is kept:
            self._drop(key)
        return None

    def put(self, key: Key, body: bytes, *, source: str, user_id: UUID, version: bytes, library: Library) -> None:
        """Keep an answer; the oldest ones go when there are too many."""
        if len(body) > LARGEST_BYTES or len(key[0]) + len(key[1]) > LONGEST_KEY:
            return
        if key in self._answers:
            self._drop(key)
        until = monotonic() + self._for_s
        self._answers[key] = KeptAnswer(body, source, restored_key(user_id), version, library.token, until)
        self._bytes += len(body) + OVERHEAD_BYTES
        while self._bytes > self._at_most:
            self._drop(next(iter(self._answers)))

    def clear(self) -> None:
        """Let go of all of them."""
        self._answers.clear()
        self._bytes = 0

    def _drop(self, key: Key) -> None:
        self._bytes -= len(self._answers.pop(key).body) + OVERHEAD_BYTES
