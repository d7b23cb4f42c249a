"""Embeddings of titles as one matrix: which titles are alike.

Belongs here: an immutable snapshot and its two questions (near a vector, near titles).
Does not belong here: how text becomes a vector (media.text), where vectors are kept (nexus.db.embeddings).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
EMPTY: Matrix = np.zeros((0, 0), dtype=np.float32)


class Vectors:
    """Unit vectors of titles. Never changes; a refresh makes another.

    Args:
        content_ids: One a row.
        matrix: The vectors.
        total: How many titles have one; more than are here where there are too many to hold (``serving.exact_titles``).
    """

    def __init__(self, content_ids: Sequence[str] = (), matrix: Matrix = EMPTY, total: int | None = None) -> None:
        self.content_ids = tuple(content_ids)
        self.total = len(self.content_ids) if total is None else total
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True) if matrix.size else np.ones((len(matrix), 1))
        self.matrix: Matrix = np.ascontiguousarray(matrix / np.maximum(lengths, 1e-12), dtype=np.float32)
        self.rows = {content_id: row for row, content_id in enumerate(self.content_ids)}

    def __len__(self) -> int:
        return len(self.content_ids)

    @property
    def is_whole(self) -> bool:
        """Whether every title that has a vector is here; else pgvector knows the others."""
        return self.total <= len(self)

    def of(self, content_ids: Sequence[str]) -> tuple[list[str], Matrix]:
        """The vectors of those titles that have one."""
        known = [content_id for content_id in content_ids if content_id in self.rows]
        return known, self.matrix[[self.rows[content_id] for content_id in known]]

    def nearest(self, vector: Matrix, limit: int, exclude: frozenset[str] = frozenset()) -> list[tuple[str, float]]:
        """Titles by cosine similarity, best first."""
        if not len(self):
            return []
        similarity = self.matrix @ (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
        wanted = min(len(self), limit + len(exclude))
        best = top(similarity, wanted)
        found = [(self.content_ids[row], float(similarity[row])) for row in best]
        return [pair for pair in found if pair[0] not in exclude][:limit]


def top(scores: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.intp]:
    """Indices of the greatest scores, greatest first, ties by index; -inf and what is no number never.

    Nothing is sorted but the answer: the place of the last one is found by selection, in time linear in the scores.
    """
    count = min(count, len(scores))
    if count <= 0:
        return np.zeros(0, dtype=np.intp)
    cost = -scores
    last = np.partition(cost, count - 1)[count - 1]
    if np.isfinite(last):
        better = np.flatnonzero(cost < last)
        chosen = np.concatenate([better, np.flatnonzero(cost == last)[: count - len(better)]])
    else:  # fewer than that many are numbers
        chosen = np.flatnonzero(np.isfinite(cost))
    ordered = chosen[np.lexsort((chosen, cost[chosen]))]
    finite: npt.NDArray[np.intp] = ordered[np.isfinite(scores[ordered])]
    return finite
