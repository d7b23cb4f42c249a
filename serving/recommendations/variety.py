"""Which of the best titles a list shows: unlike each other, and sometimes not the very best; both are settings and both are off at first.

Belongs here: choosing among scored titles. Does not belong here: scores (serving.models.champion), who may see what (rungs).

*Diversity* is maximal marginal relevance (Carbonell and Goldstein 1998) over text vectors. *Exploration* adds Gumbel noise to the
scores, so a list is drawn without replacement with probabilities in proportion to ``exp(score / noise)`` (Kool et al. 2019).
The noise is one of a viewer and a day: asking again does not shuffle the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import numpy.typing as npt

from serving.content.vectors import top

POOL = 5
"""Titles that are chosen from, in lengths of the list."""
DAY_MS = 86_400_000

Floats = npt.NDArray[np.floating]
VectorsOf = Callable[[npt.NDArray[np.intp]], Floats]
"""Unit vectors ``[n, d]`` of the titles at these positions; zeros where there is none."""


@dataclass(frozen=True, slots=True)
class Variety:
    """What an installation wants of its lists.

    Attributes:
        diversity: 0: the best titles; 1: titles that are as unlike each other as the pool has them.
        exploration: Noise on scores, in standard deviations of the pool's scores; 0: none.
    """

    diversity: float = 0.0
    exploration: float = 0.0

    def chosen(self, scores: Floats, limit: int, vectors_of: VectorsOf, draw: int) -> npt.NDArray[np.intp]:
        """Positions of the titles to show, in order.

        Args:
            scores: Of all titles; -inf: never.
            limit: How many.
            vectors_of: Asked for the pool's vectors where there is diversity.
            draw: The same number draws the same noise.
        """
        if not self.diversity and not self.exploration:
            return top(scores, limit)
        pool = top(scores, limit * POOL)
        if len(pool) < 2:
            return pool
        value = np.asarray(scores[pool], dtype=np.float64)
        value = (value - value.mean()) / max(float(value.std()), 1e-12)
        if self.exploration:
            value = value + self.exploration * np.random.default_rng(draw).gumbel(size=len(pool))
        if not self.diversity:
            return pool[np.argsort(-value, kind="stable")[:limit]]
        return pool[self._unlike(value, vectors_of(pool), limit)]

    def _unlike(self, value: Floats, vectors: Floats, limit: int) -> list[int]:
        """Places in the pool: each time the best of value less likeness to what is chosen already."""
        relevance = (value - value.min()) / max(float(value.max() - value.min()), 1e-12)
        nearest, found = np.zeros(len(value)), list[int]()
        for _ in range(min(limit, len(value))):
            worth = (1.0 - self.diversity) * relevance - self.diversity * nearest
            worth[found] = -np.inf
            found.append(int(worth.argmax()))
            nearest = np.maximum(nearest, vectors @ vectors[found[-1]])
        return found


AS_MEASURED = Variety()
"""What the model ranks first, as its figures were measured."""


def draw_of(user_id: UUID, now_ms: int) -> int:
    """One number for a viewer and a day (UTC)."""
    return int.from_bytes(hashlib.sha256(f"{user_id} {now_ms // DAY_MS}".encode()).digest()[:8], "big")
