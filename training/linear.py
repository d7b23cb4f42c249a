"""EASE (Steck 2019): the best linear model of "who has the row's titles has the column's", in closed form.

Belongs here: the solution, by whichever of the two sides is smaller. Does not belong here: choosing lambda
(training.floors), cutting rows into tables (training.neighbours).

With X [viewers, titles], ``P = (X'X + lambda I)^-1`` and ``B = -P / diag(P)`` off the diagonal. By Woodbury's identity
``P = (I - X' K X) / lambda`` with ``K = (XX' + lambda I)^-1``: with fewer viewers than titles only K is inverted. The diagonal
of B is not needed: it would score a title for a viewer who has seen it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from training.dataset import Floats, Ints


def incidence(sequences: Sequence[Ints], size: int) -> sp.csr_matrix:
    """1 where the viewer (row) has met the title (column)."""
    rows = np.repeat(np.arange(len(sequences)), [len(items) for items in sequences])
    columns = np.concatenate([*sequences, np.zeros(0, np.int64)])
    matrix = sp.csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape=(len(sequences), size))
    matrix.data[:] = 1.0
    return matrix


@dataclass(frozen=True, slots=True)
class Ease:
    """B = left @ right, off the diagonal."""

    left: Floats
    right: sp.csr_matrix | None

    @property
    def size(self) -> int:
        """Titles and the padding."""
        return len(self.left)

    @classmethod
    def fit(cls, seen: sp.csr_matrix, strength: float) -> Ease:
        """Solve for one lambda."""
        viewers, titles = seen.shape
        if viewers < titles:
            gram = (seen @ seen.T).toarray().astype(np.float64) + strength * np.eye(viewers)
            inverse = np.linalg.inv(gram).astype(np.float32)
            left = np.asarray((seen.T @ inverse), dtype=np.float32)
            diagonal = np.asarray(seen.multiply(left.T).sum(axis=0)).ravel()
            return cls(left, (seen @ sp.diags(1.0 / np.maximum(1.0 - diagonal, 1e-6))).astype(np.float32).tocsr())
        gram = (seen.T @ seen).toarray().astype(np.float64) + strength * np.eye(titles)
        precision = np.linalg.inv(gram)
        return cls((-precision / np.diag(precision)).astype(np.float32), None)

    def rows(self, titles: Ints) -> Floats:
        """Rows of B (their diagonal entries mean nothing)."""
        return self._times(self.left[titles])

    def scores(self, queries: sp.csr_matrix) -> Floats:
        """Weighted sums of rows."""
        return self._times(np.asarray(queries @ self.left, dtype=np.float32))

    def _times(self, left: Floats) -> Floats:
        if self.right is None:
            return left.copy()
        return np.ascontiguousarray((self.right.T @ left.T).T, dtype=np.float32)
