"""Forward selection: parts that help are taken, parts that do not are left out."""

import numpy as np
import pytest

from training.hybrid import selection
from training.hybrid.config import HybridConfig
from training.hybrid.features import Examples

pytestmark = pytest.mark.unit
CONFIG = HybridConfig(mixture=None, sequence=None)


def examples(knows: tuple[float, ...], count: int = 500, titles: int = 60, seed: int = 1) -> Examples:
    """Each part knows a side of its own of what comes next, by so much."""
    random = np.random.default_rng(seed)
    z = random.standard_normal((count, titles, len(knows))).astype(np.float32)
    best = (z @ np.array(knows) + random.gumbel(size=(count, titles))).argmax(axis=1)
    rows = np.arange(count)
    z[rows, 0], z[rows, best] = z[rows, best].copy(), z[rows, 0].copy()
    return Examples(z, np.zeros((count, titles), np.float32))


def test_chosen__two_parts_know_and_one_does_not__both_are_taken_best_first() -> None:
    found = selection.chosen(examples((1.0, 0.0, 1.5)), ["a", "noise", "b"], CONFIG, seed=0)
    assert found.parts == (2, 0)
    assert [step.part for step in found.steps] == ["b", "a"]
    assert found.steps[1].ndcg > found.steps[0].ndcg
    assert found.steps[1].gain > CONFIG.errors * found.steps[1].error
    assert found.weights == pytest.approx([1.5, 1.0], abs=0.4)
    assert len(np.unique(found.unbiased, axis=0)) == CONFIG.folds


def test_chosen__only_noise_beside_one__stands_alone() -> None:
    found = selection.chosen(examples((2.0, 0.0, 0.0, 0.0)), list("abcd"), CONFIG, seed=0)
    assert found.parts == (0,)


def test_chosen__two_models_that_both_know_what_is_popular__popularity_is_taken_back_once() -> None:
    """Both say a logarithm of popularity and something of their own."""
    random = np.random.default_rng(2)
    popular = random.standard_normal((500, 60, 1))
    own = random.standard_normal((500, 60, 2))
    z = np.concatenate([popular + own, popular], axis=2).astype(np.float32)
    likely = z[:, :, 0] + z[:, :, 1] - z[:, :, 2] + random.gumbel(size=(500, 60))
    rows, best = np.arange(500), likely.argmax(axis=1)
    z[rows, 0], z[rows, best] = z[rows, best].copy(), z[rows, 0].copy()
    made = Examples(z, np.zeros((500, 60), np.float32))
    found = selection.chosen(made, ["attention", "sequence", "popularity"], CONFIG, seed=0)
    assert sorted(found.parts) == [0, 1, 2]
    assert found.weights[found.parts.index(2)] < -0.5


def test_chosen__trained_part_that_would_count_against_what_it_says__is_left_out() -> None:
    made = examples((2.0, -0.6))
    assert selection.chosen(made, ["ease", "sequence"], CONFIG, seed=0).parts == (0,)
    assert selection.chosen(made, ["ease", "item_knn"], CONFIG, seed=0).parts == (0, 1)


def test_fold_of__any_count__folds_are_even_and_repeat() -> None:
    fold = selection.fold_of(23, 5, seed=7)
    assert sorted(np.bincount(fold)) == [4, 4, 5, 5, 5]
    assert (fold == selection.fold_of(23, 5, seed=7)).all()
