"""The conditional logit: it finds the part that knows, and how much it knows."""

import numpy as np
import pytest

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
    found = ranker.learned(examples(), strength=0.0, steps=100)
    assert found[0] == pytest.approx(3.0, abs=0.7)
    assert abs(found[1]) < 0.4


def test_learned__twice__is_the_same_and_more_penalty_is_less_weight() -> None:
    made = examples()
    first, again = (ranker.learned(made, strength=1e-3, steps=60) for _ in range(2))
    assert (first == again).all()
    assert np.abs(ranker.learned(made, strength=1.0, steps=60)).sum() < np.abs(first).sum() / 2


def test_learned__drawn_titles__count_for_what_they_stand_for() -> None:
    """One title drawn in place of four that are equal to it changes nothing."""
    random = np.random.default_rng(3)
    z = random.standard_normal((200, 3, 1)).astype(np.float32)
    four = np.concatenate([z, np.repeat(z[:, 2:], 3, axis=1)], axis=1)
    counts = np.zeros((200, 3), np.float32)
    counts[:, 2] = np.log(4.0)
    whole = ranker.learned(Examples(four, np.zeros((200, 6), np.float32)), strength=1e-3, steps=60)
    assert ranker.learned(Examples(z, counts), strength=1e-3, steps=60) == pytest.approx(whole, abs=2e-3)


def test_ranks__equal_scores_and_filling__count_against_the_title_or_not_at_all() -> None:
    z = np.array([[[1.0], [1.0], [0.5], [9.0]], [[2.0], [1.0], [0.0], [9.0]]], np.float32)
    counts = np.zeros((2, 4), np.float32)
    counts[:, 3] = np.log(ABSENT)
    assert ranker.ranks(Examples(z, counts), np.ones(1, np.float32)).tolist() == [2, 1]
