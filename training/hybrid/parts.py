"""The parts of the hybrid that are counted: scores of the catalogue, each a sum over the watched titles.

Belongs here: which parts there are and how each is counted. Does not belong here: their weights (training.hybrid.ranker), the
attention mixture, which is one more part (training.recommender).

Every part is a :class:`training.floors.Fitted`: ``static(j) + sum over watched titles i of weight(i) * near(i, j)``.

===============  =====================================================================================
``next_3``       titles met 1 to 3 steps after the viewer's newest ones, by others
``next_10``      1 to 10 steps; further ones count less
``ease``         EASE (Steck 2019) of everything watched
``ease_newest``  the same, of the newest few
``item_knn``     cosine of viewers, shrunk (Bell and Koren 2007)
``popularity``   logarithm of how often a title was met
``content``      genres, year and words of the newest, projected (training.content); also of titles that nobody met
===============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import scipy.sparse as sp

from training.content.part import NAME as CONTENT
from training.content.part import content_part
from training.dataset import Dataset, Floats, History
from training.floor_models import EASE_VIEWERS, cosine_table, few
from training.floors import Fitted
from training.hybrid.config import HybridConfig
from training.linear import Ease, incidence
from training.neighbours import ROWS, cut, pairs

TRANSITIONS: tuple[tuple[str, int, float, int, float], ...] = (
    ("next_3", 3, 1.0, 10, 0.7),
    ("next_10", 10, 0.9, 10, 0.8),
)
"""Name, steps that are counted, what each further step counts, titles that ask, what each older one counts."""
EASES: tuple[tuple[str, int, float], ...] = (("ease", 200, 1.0), ("ease_newest", 50, 0.8))
"""Name, titles that ask, what each older one counts."""
KNN_LAST, KNN_DECAY = 50, 0.9
TABLES = 4
"""Sparse tables in all: two transitions, EASE, nearest neighbours."""
NEVER_BENT = frozenset({"popularity", "sequence", CONTENT})
"""Parts that are logarithms or cosines already; of all others the logarithm is taken."""


NAMES = (*(name for name, *_ in TRANSITIONS), *(name for name, *_ in EASES), "item_knn", "popularity", CONTENT)
"""Of all counted parts."""


def counted(
    dataset: Dataset, learn: Sequence[History], config: HybridConfig, only: Collection[str] | None = None
) -> tuple[Fitted, ...]:
    """All counted parts over the given histories.

    Args:
        dataset: Catalogue and facts of titles.
        learn: What is counted.
        config: Settings.
        only: Names of parts; None: all of them.
    """
    sequences = [history.items for history in learn]
    size = dataset.size
    width = max(1, min(config.width, config.entries // (TABLES * size), size))
    counts = popularity(learn, size)
    nothing, ones = np.zeros(size, np.float32), np.ones(size, np.float32)
    shared = (np.maximum(counts, 1.0) ** -0.5).astype(np.float32)
    wanted = set(NAMES if only is None else only)
    parts = []
    for name, window, decay, last, query in TRANSITIONS:
        if name in wanted:
            table = cut(pairs(sequences, size, range(1, window + 1), decay).tocsr(), width)
            parts.append(Fitted(name, {}, nothing, shared, last, query, table=table))
    if wanted & {name for name, _, _ in EASES}:
        viewers = few(learn) if size > EASE_VIEWERS else learn
        near = ease_rows(Ease.fit(incidence([h.items for h in viewers], size), config.ease_lambda), width)
        parts += [
            Fitted(name, {}, nothing, ones, last, decay, table=near) for name, last, decay in EASES if name in wanted
        ]
    if "item_knn" in wanted:
        cosine = cosine_table(sequences, size, config.knn_shrink, width)
        parts.append(Fitted("item_knn", {}, nothing, ones, KNN_LAST, KNN_DECAY, table=cosine))
    if "popularity" in wanted:
        parts.append(Fitted("popularity", {}, np.log1p(counts), nothing))
    if CONTENT in wanted and config.has_content:
        parts.append(content_part(dataset, learn))
    return tuple(parts)


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
