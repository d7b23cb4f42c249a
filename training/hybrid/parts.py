"""The parts of the hybrid that are counted: scores of the catalogue, each a sum over the watched titles.

Belongs here: which parts there are and how each is counted. Does not belong here: their weights (training.hybrid.ranker), the
attention mixture, which is one more part (training.recommender).

Every part is a :class:`training.floors.Fitted`: ``static(j) + sum over watched titles i of weight(i) * near(i, j)``.

===============  =====================================================================================
``next_3``       titles met 1 to 3 steps after the viewer's newest ones, by others
``next_10``      1 to 10 steps; further ones count less
``next_30``      1 to 30 steps
``before_10``    1 to 10 steps before
``ease``         EASE (Steck 2019) of everything watched
``ease_recent``  the same, older titles count less
``ease_newest``  the same, of the newest few
``item_knn``     cosine of viewers, shrunk (Bell and Koren 2007)
``popularity``   logarithm of how often a title was met
``genres``       cosine of genres to the newest ten
``years``        closeness in years to the newest ten
``text``         cosine of text vectors to the newest ten, where vectors are given
===============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from training.dataset import Dataset, Floats, History
from training.floor_models import EASE_VIEWERS, cosine_table, few
from training.floors import Fitted
from training.hybrid.config import HybridConfig
from training.linear import Ease, incidence
from training.neighbours import ROWS, cut, pairs

TRANSITIONS: tuple[tuple[str, int, float, int, float], ...] = (
    ("next_3", 3, 1.0, 10, 0.7),
    ("next_10", 10, 0.9, 10, 0.8),
    ("next_30", 30, 0.95, 30, 0.9),
)
"""Name, steps that are counted, what each further step counts, titles that ask, what each older one counts."""
BEFORE = ("before_10", 10, 0.9, 10, 0.8)
EASES: tuple[tuple[str, int, float], ...] = (("ease", 200, 1.0), ("ease_recent", 100, 0.9), ("ease_newest", 50, 0.8))
"""Name, titles that ask, what each older one counts."""
KNN_LAST, KNN_DECAY = 50, 0.9
CONTENT_LAST, CONTENT_DECAY = 10, 0.9
YEARS_NEAR = 4.0
"""Closeness falls by a factor of e in so many years."""
UNKNOWN_YEAR = 1900.0
TABLES = 6
"""Sparse tables in all: three transitions, the one before, EASE, nearest neighbours."""


def counted(
    dataset: Dataset, learn: Sequence[History], config: HybridConfig, vectors: Floats | None = None
) -> tuple[Fitted, ...]:
    """All counted parts over the given histories.

    Args:
        dataset: Catalogue and facts of titles.
        learn: What is counted.
        config: Settings.
        vectors: Of texts about titles, ``[N+1, d]``; rows of zeros where nothing is known.
    """
    sequences = [history.items for history in learn]
    size = dataset.size
    width = max(1, min(config.width, config.entries // (TABLES * size), size))
    counts = popularity(learn, size)
    nothing, ones = np.zeros(size, np.float32), np.ones(size, np.float32)
    shared = (np.maximum(counts, 1.0) ** -0.5).astype(np.float32)
    parts = []
    for name, window, decay, last, query in (*TRANSITIONS, BEFORE):
        table = pairs(sequences, size, range(1, window + 1), decay)
        table = cut((table.T if name == BEFORE[0] else table).tocsr(), width)
        parts.append(Fitted(name, {}, nothing, shared, last, query, table=table))
    viewers = few(learn) if size > EASE_VIEWERS else learn
    near = ease_rows(Ease.fit(incidence([h.items for h in viewers], size), config.ease_lambda), width)
    parts += [Fitted(name, {}, nothing, ones, last, decay, table=near) for name, last, decay in EASES]
    cosine = cosine_table(sequences, size, config.knn_shrink, width)
    parts.append(Fitted("item_knn", {}, nothing, ones, KNN_LAST, KNN_DECAY, table=cosine))
    parts.append(Fitted("popularity", {}, np.log1p(counts), nothing))
    return (*parts, *_content(dataset, vectors))


def popularity(learn: Sequence[History], size: int) -> Floats:
    """How often each title was met, ``[N+1]``."""
    every = np.concatenate([*(history.items for history in learn), np.zeros(0, np.int64)])
    return np.bincount(every, minlength=size).astype(np.float32)


def ease_rows(ease: Ease, width: int) -> sp.csr_matrix:
    """The largest weights of each row of EASE, by size."""
    parts = []
    for start in range(0, ease.size, ROWS):
        rows = np.arange(start, min(start + ROWS, ease.size))
        weights = ease.rows(rows)
        weights[np.arange(len(rows)), rows] = 0.0
        kept = np.argpartition(-np.abs(weights), width - 1, axis=1)[:, :width]
        values = np.take_along_axis(weights, kept, axis=1).ravel()
        place = (np.repeat(np.arange(len(rows)), width), kept.ravel())
        parts.append(sp.csr_matrix((values, place), shape=weights.shape))
    found = sp.vstack(parts, format="csr").astype(np.float32)
    found.eliminate_zeros()
    return found


def _content(dataset: Dataset, vectors: Floats | None) -> list[Fitted]:
    nothing, ones = np.zeros(dataset.size, np.float32), np.ones(dataset.size, np.float32)
    found = {"genres": _genres(dataset), "years": _years(dataset)}
    if vectors is not None:
        found["text"] = _product(_unit(vectors))
    return [
        Fitted(name, {}, nothing, ones, CONTENT_LAST, CONTENT_DECAY, ease=product) for name, product in found.items()
    ]


def _unit(rows: Floats) -> Floats:
    scaled: Floats = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)).astype(np.float32)
    return scaled


def _product(rows: Floats) -> Ease:
    """``rows @ rows.T`` without making it: :class:`Ease` is any product of a dense and a sparse matrix."""
    return Ease(rows, sp.csr_matrix(rows.T))


def _genres(dataset: Dataset) -> Ease:
    names = sorted({genre for genres in dataset.genres for genre in genres})
    place = {name: number for number, name in enumerate(names)}
    flags = np.zeros((dataset.size, max(len(names), 1)), dtype=np.float32)
    for row, genres in enumerate(dataset.genres):
        flags[row, [place[genre] for genre in genres]] = 1.0
    return _product(_unit(flags))


def _years(dataset: Dataset) -> Ease:
    """``exp(-|difference| / 4)``; titles of unknown year are near each other only."""
    years = np.nan_to_num(dataset.years, nan=UNKNOWN_YEAR)
    known, place = np.unique(years, return_inverse=True)
    left = np.exp(-np.abs(years[:, None] - known[None]) / YEARS_NEAR).astype(np.float32)
    is_year = sp.csr_matrix((np.ones(len(years), np.float32), (place.ravel(), np.arange(len(years)))))
    return Ease(left, is_year)
