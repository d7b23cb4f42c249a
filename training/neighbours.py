"""Neighbour tables: for each title, which titles are near it and how near, in several senses (channels).

Belongs here: the channels, how each is counted, cutting and packing. Does not belong here: how a model weighs them.

Every table is a sparse matrix ``[N+1, N+1]`` of non-negative numbers whose rows sum to 1 (or 0 when nothing is known), so a
weighted sum of rows over a history is, up to scale, a probability of each title to come next.

==============  ==================================================================================================
``next_3``      titles met 1 to 3 steps later by the same viewer
``next_10``     4 to 10 steps later
``next_30``     11 to 30 steps later
``previous_10`` 1 to 10 steps earlier
``ease``        positive weights of EASE (Steck 2019), a linear autoencoder
``together``    within 10 steps either way, over the popularity of both
``content``     like genres, near years, not unknown
==============  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.dataset import Dataset, Floats, Ints
from training.linear import Ease, incidence

CHANNELS: tuple[str, ...] = ("next_3", "next_10", "next_30", "previous_10", "ease", "together", "content")
STEPS = ((1, 3), (4, 10), (11, 30))
ROWS = 240
"""Titles at once; dense blocks of a power of two are transposed several times slower."""


@dataclass(frozen=True, slots=True)
class Tables:
    """One matrix per channel, and how often each title was met."""

    matrices: tuple[sp.csr_matrix, ...]
    popularity: Floats
    channels: tuple[str, ...] = CHANNELS

    @property
    def size(self) -> int:
        """Rows, the padding included."""
        return len(self.popularity)

    def prior(self) -> Floats:
        """Share of each title in all interactions; 0 for the padding."""
        return (self.popularity / max(float(self.popularity.sum()), 1.0)).astype(np.float32)

    def packed(self, width: int) -> tuple[Ints, Floats]:
        """Index ``[N+1, width]`` (0: nothing) and values ``[N+1, C, width]``; the channels share the index."""
        support = cut(reduce(add, self.matrices), width)
        index = np.zeros((self.size, width), dtype=np.int64)
        values = np.zeros((self.size, len(self.matrices), width), dtype=np.float32)
        rows = np.repeat(np.arange(self.size), np.diff(support.indptr))
        slots = np.arange(support.nnz) - support.indptr[rows]
        index[rows, slots] = support.indices
        for channel, matrix in enumerate(self.matrices):
            values[rows, channel, slots] = np.asarray(matrix[rows, support.indices]).ravel()
        return index, values


@dataclass(frozen=True, slots=True)
class Counted:
    """What viewers contribute to the counted channels; sums and differences of viewers are sums and differences of these."""

    steps: tuple[sp.csr_matrix, ...]
    popularity: Floats

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            tuple(a + b for a, b in zip(self.steps, other.steps, strict=True)), self.popularity + other.popularity
        )

    def __sub__(self, other: Counted) -> Counted:
        return Counted(
            tuple(a - b for a, b in zip(self.steps, other.steps, strict=True)), self.popularity - other.popularity
        )


def count(sequences: Sequence[Ints], size: int) -> Counted:
    """Count pairs of titles by their distance."""
    popularity = np.bincount(np.concatenate([*sequences, np.zeros(0, np.int64)]), minlength=size).astype(np.float32)
    return Counted(tuple(pairs(sequences, size, range(low, high + 1)) for low, high in STEPS), popularity)


def pairs(sequences: Sequence[Ints], size: int, gaps: Iterable[int], decay: float = 1.0) -> sp.csr_matrix:
    """How often the column's title came ``gaps`` steps after the row's; each step further counts ``decay`` as much."""
    flat = np.concatenate([*sequences, np.zeros(0, np.int64)])
    left = np.concatenate([np.arange(len(items), 0, -1) for items in sequences] or [np.zeros(0, np.int64)])
    total = sp.csr_matrix((size, size), dtype=np.float32)
    for gap in gaps:
        start = np.flatnonzero(left > gap)
        weight = np.full(len(start), decay ** (gap - 1), dtype=np.float32)
        total = total + sp.csr_matrix((weight, (flat[start], flat[start + gap])), shape=(size, size))
    return total


def build(
    counted: Counted, sequences: Sequence[Ints], content: sp.csr_matrix, *, width: int, ease_lambda: float
) -> Tables:
    """All channels, each cut to its ``width`` strongest neighbours, then all to a common ``2 * width``, rows summing to 1."""
    near, far, farther = counted.steps
    popularity = counted.popularity
    both = near + far
    weight = sp.diags(np.maximum(popularity, 1.0) ** -0.5)
    together = weight @ (both + both.T) @ sp.diags((popularity + 2.0) ** -0.75)
    ease = Ease.fit(incidence(sequences, len(popularity)), ease_lambda)
    raw = (
        near,
        far,
        farther,
        both.T,
        ease_table(ease, width),
        together,
        content @ sp.diags((popularity + 0.5) ** 0.5),
    )
    rows = [rows_to_one(cut(without_self(matrix), width)) for matrix in raw]
    common = cut(reduce(add, rows), 2 * width)
    common.data[:] = 1.0
    return Tables(tuple(rows_to_one(matrix.multiply(common).tocsr()) for matrix in rows), popularity)


def ease_table(ease: Ease, width: int) -> sp.csr_matrix:
    """The strongest positive weights of each row of EASE."""
    size = ease.size
    parts = []
    for start in range(0, size, ROWS):
        rows = np.arange(start, min(start + ROWS, size))
        weights = ease.rows(rows)
        weights[np.arange(len(rows)), rows] = 0.0
        parts.append(strongest(weights, width))
    return sp.vstack(parts, format="csr")


def content_table(dataset: Dataset, popularity: Floats, width: int) -> sp.csr_matrix:
    """Closeness by genres (cosine) and years; which neighbours are kept depends on how known they are, too."""
    names = sorted({genre for genres in dataset.genres for genre in genres})
    flags = np.zeros((dataset.size, max(len(names), 1)), dtype=np.float32)
    for row, genres in enumerate(dataset.genres):
        flags[row, [names.index(genre) for genre in genres]] = 1.0
    flags /= np.maximum(np.linalg.norm(flags, axis=1, keepdims=True), 1e-6)
    years = np.nan_to_num(dataset.years, nan=1900.0)
    known = np.sqrt(popularity + 0.5).astype(np.float32)
    parts = []
    for start in range(0, dataset.size, ROWS):
        rows = np.arange(start, min(start + ROWS, dataset.size))
        near = np.exp(4.0 * (flags[rows] @ flags.T) - np.abs(years[rows, None] - years[None]) / 4.0)
        near[np.arange(len(rows)), rows] = 0.0
        near[:, 0] = 0.0
        kept = strongest(near * known, width)
        parts.append(kept @ sp.diags(1.0 / known))
    table = sp.vstack(parts, format="lil")
    table[0] = 0.0
    return table.tocsr().astype(np.float32)


def strongest(dense: Floats, width: int) -> sp.csr_matrix:
    """The ``width`` largest positive entries of each row."""
    width = min(width, dense.shape[1])
    columns = np.argpartition(dense, -width, axis=1)[:, -width:]
    values = np.take_along_axis(dense, columns, axis=1)
    rows = np.repeat(np.arange(len(dense)), width)
    keep = values.ravel() > 0
    return sp.csr_matrix((values.ravel()[keep], (rows[keep], columns.ravel()[keep])), shape=dense.shape)


def cut(matrix: sp.csr_matrix, width: int) -> sp.csr_matrix:
    """Keep the ``width`` largest entries of each row of a non-negative matrix, of equal ones the first."""
    matrix = matrix.tocsr()
    lengths = np.diff(matrix.indptr)
    keep = matrix.data > 0
    for row in np.flatnonzero(lengths > width).tolist():
        start = matrix.indptr[row]
        order = np.argsort(-matrix.data[start : matrix.indptr[row + 1]], kind="stable")
        keep[start + order[width:]] = False
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)[keep]
    return sp.csr_matrix((matrix.data[keep], (rows, matrix.indices[keep])), shape=matrix.shape)


def without_self(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """No title is its own neighbour, and the padding is nobody's."""
    entries = matrix.tocoo()
    keep = (entries.row != entries.col) & (entries.row > 0) & (entries.col > 0)
    return sp.csr_matrix((entries.data[keep], (entries.row[keep], entries.col[keep])), shape=matrix.shape)


def rows_to_one(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Scale every row that has entries to a sum of 1."""
    sums: npt.NDArray[np.float64] = np.asarray(matrix.sum(axis=1)).ravel()
    scaled: sp.csr_matrix = sp.diags(np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)) @ matrix
    return scaled.astype(np.float32).tocsr()
