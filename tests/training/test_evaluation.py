"""The evaluator against hand-computed cases, and what must hold for any scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.dataset import History, Split
from training.evaluation import evaluate, ndcg, ranked

pytestmark = pytest.mark.unit


def history(*items: int) -> History:
    count = len(items)
    return History(
        np.array(items), np.ones(count, np.float32), np.arange(count) * 1.0, np.zeros((count, 1), np.float32)
    )


class Fixed:
    def __init__(self, *rows: list[float]) -> None:
        self.rows = np.array(rows, dtype=np.float32)

    def scores(self, histories: object, contexts: object) -> np.ndarray:  # noqa: ARG002
        return self.rows


def test_evaluate__three_viewers__gives_the_hand_computed_figures() -> None:
    # Titles 1..4. Viewer 1 saw 4 (best score), target 2 is then first. Viewer 2's target shares its score with title 3:
    # rank 2 (ties count against it). Viewer 3's target is last of three unseen.
    scorer = Fixed([9, 1, 5, 3, 8], [9, 0, 4, 4, 1], [9, 7, 1, 6, 5])
    split = Split("test", (history(4), history(1), history(1)), np.array([2, 2, 2]), np.zeros((3, 1), np.float32))
    outcome = evaluate(scorer, split, 5)
    assert outcome.ranks.tolist() == [1, 2, 3]
    figures = outcome.metrics()
    assert figures["ndcg_10"] == pytest.approx((1 + 1 / np.log2(3) + 0.5) / 3)
    assert figures["hr_10"] == 1.0
    assert figures["coverage_10"] == 1.0


def test_ranked__constant_scores__put_the_target_last() -> None:
    ranks, _ = ranked(np.zeros((1, 11), np.float32), [np.array([3])], np.array([5]))
    assert ranks.tolist() == [9]


def test_ranked__target_score_not_a_number__is_last() -> None:
    scores = np.array([[0, 1, np.nan, 2]], np.float32)
    assert ranked(scores, [np.array([], np.int64)], np.array([2]))[0].tolist() == [3]
    assert ranked(scores, [np.array([3])], np.array([2]))[0].tolist() == [2]


def test_ranked__top__never_has_a_seen_title_or_the_padding() -> None:
    _, top = ranked(np.array([[9, 8, 7, 6]], np.float32), [np.array([1])], np.array([2]))
    assert set(top[0]) - {0} == {2, 3}


@given(hnp.arrays(np.float32, (4, 30), elements=st.floats(-5, 5, width=32)), st.integers(1, 29), st.data())
def test_ranked__any_scores__keep_the_laws(scores: np.ndarray, target: int, data: st.DataObject) -> None:
    seen = [
        np.array(data.draw(st.lists(st.integers(1, 29).filter(lambda i: i != target), max_size=10)), dtype=np.int64)
        for _ in range(4)
    ]
    targets = np.full(4, target)
    ranks, top = ranked(scores, seen, targets)
    unseen = np.array([29 - len(set(items)) for items in seen])
    assert ((ranks >= 1) & (ranks <= unseen)).all()
    shifted, _ = ranked(scores * np.float32(2.0), seen, targets)
    assert (shifted == ranks).all()
    for row, items in enumerate(seen):
        assert not set(top[row]) & set(items)
    better = scores.copy()
    better[:, target] += 20.0
    assert (ranked(better, seen, targets)[0] == 1).all()


@given(hnp.arrays(np.int64, 20, elements=st.integers(1, 100)))
def test_ndcg__any_ranks__lies_between_0_and_hit_rate(ranks: np.ndarray) -> None:
    values = ndcg(ranks, 10)
    assert ((values >= 0) & (values <= (ranks <= 10))).all()
