"""How often an endpoint may be asked: a bucket of tokens, and the pause that the endpoint itself asked for.

Belongs here: waiting. Does not belong here: whom to ask (pool.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class TokenBucket:
    """So many tokens a second; a big batch takes more than there are and the next one waits the longer.

    Args:
        per_second: Rate; None: no limit of our own.
        burst: Most tokens that are saved up; None: those of one second.
        now: Clock, in seconds.
    """

    def __init__(
        self, per_second: float | None, *, burst: float | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_second
        self._burst = max(1.0, burst or per_second or 1.0)
        self._tokens = self._burst
        self._now = now
        self._at = now()
        self._closed_until = 0.0

    def close_for(self, seconds: float) -> None:
        """Nobody passes for a while: the endpoint asked for it."""
        self._closed_until = max(self._closed_until, self._now() + seconds)

    def wait_s(self) -> float:
        """How long one who comes now would wait; the token is not taken."""
        now = self._now()
        closed = max(0.0, self._closed_until - now)
        if self._rate is None:
            return closed
        tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        return max(closed, (1.0 - tokens) / self._rate if tokens < 1.0 else 0.0)

    def take(self, count: int = 1) -> None:
        """Take tokens, even those that are not there yet."""
        if self._rate is None:
            return
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - count
        self._at = now

    async def pass_through(self, count: int = 1) -> None:
        """Take the tokens and wait until they are there; who comes later waits behind."""
        pause = self.wait_s()
        self.take(count)
        if pause > 0:
            await asyncio.sleep(pause)
