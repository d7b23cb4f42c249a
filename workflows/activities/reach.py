"""Asking something outside that may be away: while it is, one asks at a time and nobody else waits for that.

So a chain that accepts connections and never answers takes one slot, not all. Belongs here: that gate.
Does not belong here: what is asked, when it is asked again (workflows.activities.waiting).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

from nexus.errors import NexusError


class Reach:
    """The way to one outside part.

    Args:
        away: The error while it does not answer.
        silence: What its client raises when nobody knows what happened; looked up late, because clients are heavy.
    """

    def __init__(self, away: Callable[[], NexusError], silence: Callable[[], tuple[type[Exception], ...]]) -> None:
        self._away = away
        self._silence = silence
        self._is_away = False
        self._probe = asyncio.Lock()

    @asynccontextmanager
    async def asking(self, patience_s: float) -> AsyncIterator[None]:
        """Within, it is asked.

        Raises:
            NexusError: ``unavailable`` when it does not answer, or did not just now.
        """
        if self._is_away and self._probe.locked():
            raise self._away()
        try:
            async with self._probe if self._is_away else nullcontext(), asyncio.timeout(patience_s):
                yield
        except NexusError as error:
            # One that names a field or a place is about that, not about the way to it.
            self._is_away = error.retryable and error.field is None and "cid" not in error.evidence
            raise
        except Exception as error:
            if not isinstance(error, (TimeoutError, *self._silence())):
                raise
            self._is_away = True
            raise self._away() from error
        self._is_away = False
