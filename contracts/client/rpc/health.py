"""How well an endpoint is: a score of its recent outcomes, and a rest after each failure that doubles up to a limit.

Belongs here: remembering outcomes. Does not belong here: what counts as a failure (endpoint.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST_REST_S, LONGEST_REST_S = 0.5, 30.0
_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint is. ``score`` is between 0 and 1, recent outcomes counting most."""

    endpoint: str
    state: str
    score: float
    latency_ms: float | None
    failures: int
    asked: int
    note: str | None


class Condition:
    """What is remembered of one endpoint.

    Args:
        now: Clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._score = 1.0
        self._latency_s: float | None = None
        self._failures = 0
        self._asked = 0
        self._resting_until = 0.0
        self._note: str | None = None

    @property
    def is_resting(self) -> bool:
        """Whether it failed lately, so that others are asked first."""
        return self.now() < self._resting_until

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Sorts endpoints: those at work, then those whose rest ends first; better ones first."""
        wait_s = self._resting_until - self.now() if self.is_resting else 0.0
        return (self.is_resting, wait_s, -round(self._score, 1))

    def health(self, name: str, *, is_wrong_chain: bool) -> Health:
        """For people and programs."""
        state = "unknown" if not self._asked else "resting" if self.is_resting else "well"
        latency_ms = None if self._latency_s is None else round(self._latency_s * 1000, 1)
        return Health(
            name,
            "wrong chain" if is_wrong_chain else state,
            round(self._score, 2),
            latency_ms,
            self._failures,
            self._asked,
            self._note,
        )

    def began(self) -> float:
        """It is asked now; returns when that was."""
        self._asked += 1
        return self.now()

    def succeeded(self, began: float) -> None:
        """It answered."""
        seconds = self.now() - began
        self._failures = 0
        self._resting_until = 0.0
        self._note = None
        self._score += _WEIGHT * (1.0 - self._score)
        before = seconds if self._latency_s is None else self._latency_s
        self._latency_s = before + _WEIGHT * (seconds - before)

    def failed(self, reason: str) -> float:
        """It gave no answer; returns how long it rests."""
        self._failures += 1
        self._score *= 1.0 - _WEIGHT
        self._note = reason
        rest = min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(self._failures - 1, 10))
        self.rest_for(rest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, protects nothing
        return rest

    def rest_for(self, seconds: float) -> None:
        """Ask others first, that long."""
        self._resting_until = self.now() + seconds
