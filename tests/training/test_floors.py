"""Floors on data where the right answer is known, and EASE against its definition."""

import numpy as np
import pytest

from training import floors
from training.dataset import Dataset, leave_out
from training.evaluation import evaluate
from training.linear import Ease, incidence

pytestmark = pytest.mark.unit


def test_choose_all__viewers_who_walk_in_order__transitions_find_the_next_title(world: Dataset) -> None:
    chosen = {choice.name: choice for choice in floors.choose_all(world)}
    test = leave_out(world, last=1, name="test")
    figures = {
        name: evaluate(choice.fit(test.histories), test, world.size).metrics()["ndcg_10"]
        for name, choice in chosen.items()
    }
    assert figures["transitions"] > 0.8
    assert figures["transitions"] > figures["ease"] > 0
    assert figures["transitions"] > figures["popularity"]


@pytest.mark.parametrize("viewers", [5, 25], ids=["fewer viewers than titles", "more viewers than titles"])
def test_ease__either_side__is_the_closed_form(viewers: int) -> None:
    random = np.random.default_rng(1)
    sequences = [random.permutation(np.arange(1, 12))[: random.integers(3, 8)] for _ in range(viewers)]
    seen = incidence(sequences, 12)
    dense = seen.toarray()
    precision = np.linalg.inv(dense.T @ dense + 2.0 * np.eye(12))
    wanted = -precision / np.diag(precision)
    got = Ease.fit(seen, 2.0).rows(np.arange(12))
    off = ~np.eye(12, dtype=bool)
    assert np.allclose(got[off], wanted[off], atol=1e-4)


def test_fit__same_settings__gives_the_same_scores(world: Dataset) -> None:
    split = leave_out(world, last=2, name="validation")
    choice = floors.choose("transitions", world, split)
    once, again = (choice.fit(split.histories).scores(split.histories, split.contexts) for _ in range(2))
    assert (once == again).all()
