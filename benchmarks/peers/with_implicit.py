"""implicit's ALS and BPR (benfred/implicit), settings chosen on validation titles, then fitted anew for the test.

Belongs here: these two models. Does not belong here: their settings (settings), judging. Runs in the peers' environment.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.handed import Array, Handed, Rows, ndcg_10
from benchmarks.peers.settings import IMPLICIT


def answer(name: str, handed: Handed, seed: int, budget_s: float, threads: int) -> tuple[Array, dict[str, Any]]:
    """Scores of the test rows ``[n, N+1]``, and what was chosen."""
    began, best, figure = time.monotonic(), IMPLICIT[name][0], -1.0
    tried: list[dict[str, Any]] = []
    for values in IMPLICIT[name]:
        if tried and time.monotonic() - began > 0.7 * budget_s:
            break
        found = ndcg_10(
            _scores(name, values, handed.learn, handed, len(handed.validation), seed, threads),
            handed.validation,
            handed.targets,
        )
        tried.append(values | {"validation_ndcg_10": round(found, 5)})
        print(f"{name}: {tried[-1]}", file=sys.stderr, flush=True)
        if found > figure:
            best, figure = values, found
    scores = _scores(name, best, handed.relearn, handed, len(handed.test), seed, threads)
    return scores, {"settings": best, "validation_ndcg_10": figure, "tried": tried}


def _scores(
    name: str, values: dict[str, Any], learn: Rows, handed: Handed, rows: int, seed: int, threads: int
) -> Array:
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking
    from threadpoolctl import threadpool_limits

    met = np.ones(len(learn.items), np.float32)
    matrix = sp.csr_matrix((met, (learn.owners, learn.items)), shape=(len(learn), handed.size))
    kind: Any = AlternatingLeastSquares if name == "implicit-als" else BayesianPersonalizedRanking
    with threadpool_limits(1, "blas"):
        model = kind(**values, random_state=seed, num_threads=threads)
        model.fit(matrix, show_progress=False)
    return np.asarray(model.user_factors[:rows] @ model.item_factors.T, dtype=np.float32)
