"""One evaluator for every candidate: the whole catalogue is ranked, nothing is sampled.

Belongs here: ranks, metrics, the protocol's words. Does not belong here: splits (training.dataset), who is compared with
whom (training.gate).

Rules: leave-one-out; every title of the catalogue is ranked except what the viewer has seen; a title with the same score
as the held-out one counts as ranked before it (pessimistic ties), so a constant scorer gets 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from training.dataset import Dataset, Floats, History, Ints, Split

CHUNK = 128
CUTOFFS = (10, 50)


class Scorer(Protocol):
    """Anything that scores the catalogue for histories."""

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Rows of scores ``[len(histories), N+1]``; higher is better; column 0 means nothing."""
        ...


@runtime_checkable
class TimedScorer(Protocol):
    """A scorer that makes use of the time of the request, where the protocol gives it."""

    def scores_at(self, histories: Sequence[History], contexts: Floats, asked_at_s: npt.NDArray[np.float64]) -> Floats:
        """As :meth:`Scorer.scores`, with the second since 1970 at which each list is asked for, ``[n]``."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where each held-out title was ranked, and what stood at the top.

    Attributes:
        ranks: 1 is best; one per viewer.
        top: The ten best titles of each viewer; 0 where there are fewer.
        target_popularity: How often each target occurs in the histories.
        catalogue: Titles, without the padding.
        candidates: How many titles were ranked for each viewer.
        top_popularity: Mean share of the viewers who had met a title of the ten best.
    """

    ranks: Ints
    top: Ints
    target_popularity: Floats
    catalogue: int
    candidates: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    top_popularity: float = 0.0

    @property
    def ndcg_10(self) -> Floats:
        """NDCG@10 of each viewer (what the gate's bootstrap resamples)."""
        return ndcg(self.ranks, 10)

    def metrics(self) -> dict[str, float]:
        """All figures of the protocol."""
        weights = 1.0 / np.sqrt(self.target_popularity + 1.0)
        figures = {f"hr_{k}": float(np.mean(self.ranks <= k)) for k in CUTOFFS}
        figures |= {f"ndcg_{k}": float(np.mean(ndcg(self.ranks, k))) for k in CUTOFFS}
        figures["coverage_10"] = float(len(np.unique(self.top[self.top > 0])) / self.catalogue)
        figures["popularity_10"] = self.top_popularity
        figures["hr_10_debiased"] = float(np.sum(weights * (self.ranks <= 10)) / np.sum(weights))
        return figures


def ndcg(ranks: npt.NDArray[np.integer], k: int) -> Floats:
    """NDCG of one relevant title: 1 / log2(1 + rank) within the first ``k``, else 0."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0).astype(np.float32)


def evaluate(scorer: Scorer, split: Split, size: int) -> Outcome:
    """Rank the held-out title of every viewer in the split."""
    seen = np.bincount(np.concatenate([history.items for history in split.histories]), minlength=size)
    ranks, tops = zip(*_chunks(scorer, split), strict=True)
    top = np.concatenate(tops)
    shown = top[top > 0]
    return Outcome(
        ranks=np.concatenate(ranks),
        top=top,
        top_popularity=float(seen[shown].mean() / len(split)) if len(shown) else 0.0,
        target_popularity=seen[split.targets].astype(np.float32),
        catalogue=size - 1,
        candidates=np.array([size - 1 - len(np.unique(h.items)) for h in split.histories], dtype=np.int64),
    )


def _chunks(scorer: Scorer, split: Split) -> Iterator[tuple[Ints, Ints]]:
    for start in range(0, len(split), CHUNK):
        part = slice(start, start + CHUNK)
        histories = split.histories[part]
        if split.asked_at_s is not None and isinstance(scorer, TimedScorer):
            scores = scorer.scores_at(histories, split.contexts[part], split.asked_at_s[part])
        else:
            scores = scorer.scores(histories, split.contexts[part])
        yield ranked(scores, [history.items for history in histories], split.targets[part])


def ranked(scores: Floats, seen: Sequence[Ints], targets: Ints) -> tuple[Ints, Ints]:
    """Rank of each target among unseen titles, and the ten best titles.

    A score that is not a number ranks last, and so does a target that has one; nothing ranks after the last candidate.
    """
    scores = np.nan_to_num(scores.astype(np.float32, copy=True), nan=-np.inf, neginf=-np.inf)
    scores[:, 0] = -np.inf
    for row, items in enumerate(seen):
        scores[row, items] = -np.inf
    rows = np.arange(len(targets))
    last = np.array([scores.shape[1] - 1 - len(np.unique(items)) for items in seen], dtype=np.int64)
    ranks = np.clip((scores >= scores[rows, targets][:, None]).sum(axis=1), 1, np.maximum(last, 1))
    count = min(10, scores.shape[1])
    top = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return ranks.astype(np.int64), np.where(np.isneginf(np.take_along_axis(scores, top, axis=1)), 0, top)


def protocol(dataset: Dataset, *, held_out: str) -> str:
    """The words that go with every figure."""
    return (
        f"leave-one-out ({held_out}), ties by {dataset.tie_rule}; all {dataset.size - 1} titles ranked except the viewer's own; "
        f"equal scores count against the held-out title; time of the request not given; {len(dataset.histories)} viewers; "
        f"hr_10_debiased weighs a target by 1/sqrt(1 + its count); data {dataset.data_hash}"
    )
