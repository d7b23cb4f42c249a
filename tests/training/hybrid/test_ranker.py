"""The weights: the logit finds the part that knows and how much it knows; the top of the list decides between parts."""

import numpy as np
import pytest

from training.evaluation import ndcg
from training.hybrid import ranker
from training.hybrid.features import ABSENT, Examples

pytestmark = pytest.mark.unit


def examples(count: int = 400, titles: int = 12, seed: int = 0, parts: int = 2) -> Examples:
    """The first part knows what comes next, as a logit with weight 3; the others know nothing."""
    random = np.random.default_rng(seed)
    z = random.standard_normal((count, titles, parts)).astype(np.float32)
    best = (3.0 * z[:, :, 0] + random.gumbel(size=(count, titles))).argmax(axis=1)
    rows = np.arange(count)
    z[rows, 0], z[rows, best] = z[rows, best].copy(), z[rows, 0].copy()
    return Examples(z, np.zeros((count, titles), np.float32))


def test_learned__part_that_knows__gets_the_weight_it_has() -> None:
    found = ranker.learned(examples(), strength=0.0, steps=100, pull=0.01)
    assert found[0] == pytest.approx(3.0, abs=0.7)
    assert abs(found[1]) < 0.4


def test_learned__twice__is_the_same_and_more_penalty_is_less_weight() -> None:
    made = examples()
    first, again = (ranker.learned(made, strength=1e-3, steps=60, pull=0.01) for _ in range(2))
    assert (first == again).all()
    assert np.abs(ranker.learned(made, strength=1.0, steps=60, pull=0.01)).sum() < np.abs(first).sum() / 2


def test_learned__drawn_titles__count_for_what_they_stand_for() -> None:
    """One title drawn in place of four that are equal to it changes nothing."""
    random = np.random.default_rng(3)
    z = random.standard_normal((200, 3, 1)).astype(np.float32)
    four = np.concatenate([z, np.repeat(z[:, 2:], 3, axis=1)], axis=1)
    counts = np.zeros((200, 3), np.float32)
    counts[:, 2] = np.log(4.0)
    whole = ranker.learned(Examples(four, np.zeros((200, 6), np.float32)), strength=1e-3, steps=60, pull=0.01)
    assert ranker.learned(Examples(z, counts), strength=1e-3, steps=60, pull=0.01) == pytest.approx(whole, abs=2e-3)


def test_learned__one_part_knows_the_top_and_one_the_rest__the_top_has_more_say_than_likelihood_gives_it() -> None:
    """Most titles that came next are far down, where the second part knows more; no list shows these."""
    random = np.random.default_rng(5)
    z = random.standard_normal((600, 200, 2)).astype(np.float32)
    z[:180, 0, 0] += 4.0
    z[180:, 0, 1] += 1.2
    made = Examples(z, np.zeros((600, 200), np.float32))
    likely = ranker.likeliest(made, strength=1e-2, steps=60)
    found = ranker.learned(made, strength=1e-2, steps=60, pull=0.01)
    assert found[0] / found[1] > 1.2 * likely[0] / likely[1]
    at_the_top = [float(ndcg(ranker.ranks(made, weights), 10).mean()) for weights in (likely, found)]
    assert at_the_top[1] > at_the_top[0]
    assert ranker.learned(made, strength=1e-2, steps=60, pull=100.0)[0] == pytest.approx(likely[0], rel=0.1)


def test_learned__parts_that_say_nothing__weigh_nothing() -> None:
    made = Examples(np.zeros((10, 4, 2), np.float32), np.zeros((10, 4), np.float32))
    assert ranker.learned(made, strength=1e-2, steps=10, pull=0.01).tolist() == [0.0, 0.0]


def test_ranks__equal_scores_and_filling__count_against_the_title_or_not_at_all() -> None:
    z = np.array([[[1.0], [1.0], [0.5], [9.0]], [[2.0], [1.0], [0.0], [9.0]]], np.float32)
    counts = np.zeros((2, 4), np.float32)
    counts[:, 3] = np.log(ABSENT)
    assert ranker.ranks(Examples(z, counts), np.ones(1, np.float32)).tolist() == [2, 1]
