"""Figures by the names of the contract (``hr@10``), from where each held-out title was ranked.

Belongs here: figures of one held-out title per viewer, figures of sets, what they are called. Does not belong here: ranking
(training.evaluation), what is held out (training.protocols), the older names of the registry (``hr_10``, training.evaluation).

==================  ===================================================================================================
``hr@k``            share of viewers whose title is among the first k (one title: the same as recall@k)
``ndcg@k``          mean of 1 / log2(1 + rank) within the first k, else 0
``mrr``             mean of 1 / rank
``recall@k``        of sets: found among the first k, over min(k, size of the set)
``coverage@10``     share of the catalogue that stands in anybody's first ten
``hr@10_debiased``  hr@10 with each viewer weighed by 1 / sqrt(1 + how often the title occurs in what was learned from)
``popularity@10``   how popular recommendations are: mean share of the viewers learned from who met a title of the first ten
==================  ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.dataset import Floats, History, Ints, Split
from training.evaluation import CHUNK, Outcome, Scorer, evaluate, ndcg

HITS = (1, 5, 10, 20, 50, 100, 200)
GAINS = (5, 10, 20, 50, 100, 200)
LOWEST = float(np.finfo(np.float32).min)
SET_RECALLS, SET_GAIN = (20, 50), 100


@dataclass(frozen=True)
class Sets:
    """Several held-out titles per viewer (the protocol of Mult-VAE).

    Attributes:
        histories: What is shown.
        targets: Indexes of the titles to be found, at least one each.
        contexts: ``[n, F]``.
        candidates: ``[N+1]``: titles that are ranked.
    """

    histories: tuple[History, ...]
    targets: tuple[Ints, ...]
    contexts: Floats
    candidates: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Among:
    """A scorer that ranks only some titles.

    Attributes:
        scorer: What scores them.
        candidates: ``[N+1]``.
    """

    scorer: Scorer
    candidates: npt.NDArray[np.bool_]

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores; minus infinity for what is not ranked."""
        found = np.nan_to_num(self.scorer.scores(histories, contexts), nan=LOWEST)
        return np.where(self.candidates[None], found, -np.inf).astype(np.float32)


def figures(outcome: Outcome, targets: Ints, learned: Sequence[History]) -> dict[str, float]:
    """Every figure of one held-out title per viewer.

    Args:
        outcome: Where it was ranked.
        targets: Which title it was, ``[n]``.
        learned: What the model learned from.
    """
    counts = np.bincount(
        np.concatenate([*(history.items for history in learned), np.zeros(0, np.int64)]),
        minlength=outcome.catalogue + 1,
    ).astype(np.float64)
    ranks = outcome.ranks
    weights = 1.0 / np.sqrt(counts[targets] + 1.0)
    found = {f"hr@{k}": float(np.mean(ranks <= k)) for k in HITS}
    found |= {f"ndcg@{k}": float(np.mean(ndcg(ranks, k), dtype=np.float64)) for k in GAINS}
    found["mrr"] = float(np.mean(1.0 / ranks))
    shown = outcome.top[outcome.top > 0]
    found["coverage@10"] = float(len(np.unique(shown)) / outcome.catalogue)
    found["hr@10_debiased"] = float(np.sum(weights * (ranks <= 10)) / np.sum(weights))
    found["popularity@10"] = float(counts[shown].mean() / max(len(learned), 1)) if len(shown) else 0.0
    return found


def unseen_figures(scorer: Scorer, split: Split, unseen: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Figures with only the unseen titles ranked."""
    ranks = evaluate(Among(scorer, unseen), split, len(unseen)).ranks
    return {
        "unseen_hr@10": float(np.mean(ranks <= 10)),
        "unseen_ndcg@10": float(np.mean(ndcg(ranks, 10), dtype=np.float64)),
        "unseen_mrr": float(np.mean(1.0 / ranks)),
    }


def set_figures(scorer: Scorer, sets: Sets) -> dict[str, float]:
    """``recall@20``, ``recall@50`` and ``set_ndcg@100`` (Liang et al. 2018): NDCG is over the best that the set allows.

    Equal scores are ranked against the titles to be found, as everywhere.
    """
    if not sets.histories:
        return {}
    rows = [_set_ranks(scorer, sets, start) for start in range(0, len(sets.histories), CHUNK)]
    ranks = [found for part in rows for found in part]
    named = {
        f"recall@{k}": float(np.mean([np.sum(found <= k) / min(k, len(found)) for found in ranks])) for k in SET_RECALLS
    }
    return named | {f"set_ndcg@{SET_GAIN}": float(np.mean([_set_ndcg(found, SET_GAIN) for found in ranks]))}


def _set_ranks(scorer: Scorer, sets: Sets, start: int) -> list[Ints]:
    part = slice(start, start + CHUNK)
    histories, targets = sets.histories[part], sets.targets[part]
    scores = Among(scorer, sets.candidates).scores(histories, sets.contexts[part])
    scores[:, 0] = -np.inf
    for row, history in enumerate(histories):
        scores[row, history.items] = -np.inf
    return [set_ranks(scores[row], targets[row]) for row in range(len(targets))]


def set_ranks(scores: Floats, targets: Ints) -> Ints:
    """Rank of each title of a set in one row of scores, best first; equal scores go to titles outside the set first."""
    own = np.sort(scores[targets])[::-1]
    others = np.sort(np.delete(scores, targets))
    ahead = len(others) - np.searchsorted(others, own, side="left")
    return (ahead + np.arange(1, len(own) + 1)).astype(np.int64)


def _set_ndcg(ranks: Ints, k: int) -> float:
    best = (1.0 / np.log2(np.arange(2, min(k, len(ranks)) + 2))).sum()
    return float((1.0 / np.log2(1.0 + ranks[ranks <= k])).sum() / best)
