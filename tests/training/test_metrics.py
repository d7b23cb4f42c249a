"""Figures against slow ones written out by the book."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training import metrics
from training.dataset import Floats, History, Split
from training.evaluation import TimedScorer, evaluate
from training.metrics import Sets

pytestmark = pytest.mark.unit

SIZE = 25


class Fixed:
    """Gives the rows it was made with, in order."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows.astype(np.float32)

    def scores(self, histories: object, contexts: object) -> Floats:  # noqa: ARG002
        return self.rows.copy()


class Clock(Fixed):
    def scores_at(self, histories: object, contexts: object, asked_at_s: np.ndarray) -> Floats:  # noqa: ARG002
        rows = np.zeros_like(self.rows)
        rows[np.arange(len(rows)), asked_at_s.astype(int)] = 1.0
        return rows


def history(*items: int) -> History:
    count = len(items)
    return History(
        np.array(items, np.int64), np.ones(count, np.float32), np.arange(count) * 1.0, np.zeros((count, 1), np.float32)
    )


def split(seen: list[list[int]], targets: list[int], asked: list[float] | None = None) -> Split:
    return Split(
        "test",
        tuple(history(*items) for items in seen),
        np.array(targets),
        np.zeros((len(seen), 1), np.float32),
        None if asked is None else np.array(asked),
    )


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int8, (5, SIZE), elements=st.integers(0, 6)), st.data())
def test_figures__any_scores__are_those_of_the_book(scores: np.ndarray, data: st.DataObject) -> None:
    seen = [data.draw(st.lists(st.integers(1, SIZE - 1), max_size=8, unique=True)) for _ in range(5)]
    targets = [data.draw(st.sampled_from([t for t in range(1, SIZE) if t not in items])) for items in seen]
    asked = split(seen, targets)
    learned = [history(*items) for items in seen]
    found = metrics.figures(evaluate(Fixed(scores), asked, SIZE), asked.targets, learned)
    ranks = [_rank(row, items, target) for row, items, target in zip(scores, seen, targets, strict=True)]
    counts = [sum(title in items for items in seen) for title in range(SIZE)]
    for k in metrics.HITS:
        assert found[f"hr@{k}"] == pytest.approx(np.mean([rank <= k for rank in ranks]))
    for k in metrics.GAINS:
        wanted = np.mean([1 / np.log2(1 + rank) if rank <= k else 0.0 for rank in ranks])
        assert found[f"ndcg@{k}"] == pytest.approx(wanted, abs=1e-6)
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    weights = [1 / np.sqrt(1 + counts[target]) for target in targets]
    assert found["hr@10_debiased"] == pytest.approx(
        sum(w for w, rank in zip(weights, ranks, strict=True) if rank <= 10) / sum(weights)
    )
    assert 0 <= found["coverage@10"] <= 1
    assert 0 <= found["popularity@10"] <= 1


def _rank(row: np.ndarray, seen: list[int], target: int) -> int:
    """By the book: one more than the titles before it; equal ones stand before it."""
    return 1 + sum(row[title] >= row[target] for title in range(1, SIZE) if title not in seen and title != target)


def test_figures__popularity_and_coverage__are_of_the_first_ten() -> None:
    scores = np.zeros((2, SIZE))
    scores[:, 1:11] = np.arange(20, 10, -1)
    asked = split([[20], [21]], [15, 16])
    learned = [history(1, 2), history(1), history(3), history(20)]
    found = metrics.figures(evaluate(Fixed(scores), asked, SIZE), asked.targets, learned)
    assert found["coverage@10"] == pytest.approx(10 / 24)
    assert found["popularity@10"] == pytest.approx((2 + 1 + 1) / 10 / 4)
    assert found["hr@10"] == 0.0


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int8, (3, SIZE), elements=st.integers(0, 9)), st.data())
def test_set_figures__any_scores__are_those_of_the_book(scores: np.ndarray, data: st.DataObject) -> None:
    candidates = np.array([False, *data.draw(st.lists(st.booleans(), min_size=SIZE - 1, max_size=SIZE - 1))])
    candidates[1:6] = True
    shown, targets = [], []
    for _ in range(3):
        own = data.draw(
            st.lists(st.sampled_from(np.flatnonzero(candidates).tolist()), min_size=2, max_size=9, unique=True)
        )
        shown.append(history(*own[1::2]))
        targets.append(np.array(own[::2]))
    found = metrics.set_figures(
        Fixed(scores), Sets(tuple(shown), tuple(targets), np.zeros((3, 1), np.float32), candidates)
    )
    lists = [_listed(scores[row], candidates, shown[row].items, targets[row]) for row in range(3)]
    for k in (20, 50):
        wanted = np.mean(
            [len(set(one[:k]) & set(own)) / min(k, len(own)) for one, own in zip(lists, targets, strict=True)]
        )
        assert found[f"recall@{k}"] == pytest.approx(wanted)
    gains = []
    for one, own in zip(lists, targets, strict=True):
        got = sum(1 / np.log2(place + 2) for place, title in enumerate(one[:100]) if title in own)
        gains.append(got / sum(1 / np.log2(place + 2) for place in range(min(100, len(own)))))
    assert found["set_ndcg@100"] == pytest.approx(np.mean(gains))


def _listed(row: np.ndarray, candidates: np.ndarray, shown: np.ndarray, targets: np.ndarray) -> list[int]:
    """Candidates in order, equal ones outside the set first."""
    titles = [title for title in range(1, SIZE) if candidates[title] and title not in shown]
    return sorted(titles, key=lambda title: (-row[title], title in targets))


def test_among__titles_that_are_not_candidates__are_not_ranked() -> None:
    unseen = np.zeros(SIZE, dtype=bool)
    unseen[[3, 4]] = True
    scores = np.arange(SIZE, dtype=np.float32)[None].repeat(2, axis=0)
    scores[1] = np.nan
    found = metrics.unseen_figures(Fixed(scores), split([[1], [1]], [3, 3]), unseen)
    assert found["unseen_mrr"] == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_evaluate__time_of_the_request__reaches_a_scorer_that_wants_it() -> None:
    timed, plain = split([[1], [1]], [5, 6], [5.0, 6.0]), split([[1], [1]], [5, 6])
    clock = Clock(np.zeros((2, SIZE)))
    assert isinstance(clock, TimedScorer)
    assert evaluate(clock, timed, SIZE).ranks.tolist() == [1, 1]
    assert evaluate(clock, plain, SIZE).ranks.tolist() == [23, 23]
    assert evaluate(Fixed(np.zeros((2, SIZE))), timed, SIZE).ranks.tolist() == [23, 23]


def test_evaluate__candidates__are_the_catalogue_without_what_was_met() -> None:
    assert evaluate(Fixed(np.zeros((2, SIZE))), split([[1, 2, 3], []], [5, 6]), SIZE).candidates.tolist() == [21, 24]
