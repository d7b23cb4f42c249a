"""The conditional logit: it finds the part that knows, and a gate where it knows only of some."""

import numpy as np
import pytest

from training.hybrid import ranker
from training.hybrid.features import Examples

pytestmark = pytest.mark.unit


def examples(count: int = 400, titles: int = 12, seed: int = 0) -> Examples:
    """Two parts; the first knows what comes next for viewers with long histories, the second for the others."""
    random = np.random.default_rng(seed)
    z = random.standard_normal((count, titles, 2)).astype(np.float32)
    length = random.choice([1.0, 5.0], count).astype(np.float32)
    useful = np.where(length > 3, 0, 1)
    score = 3.0 * z[np.arange(count), :, useful] + random.gumbel(size=(count, titles))
    best = score.argmax(axis=1)
    rows = np.arange(count)
    z[rows, 0], z[rows, best] = z[rows, best].copy(), z[rows, 0].copy()
    nothing = np.zeros((count, titles), np.float32)
    return Examples(z, nothing, length, random.random((count, titles)).astype(np.float32))


def test_learned__part_that_knows__gets_the_weight_it_has() -> None:
    made = examples()
    long = made.length > 3
    only = Examples(made.z[long], made.log_count[long], made.length[long], made.known[long])
    found = ranker.learned(only, "linear", 0.0, steps=100)
    assert found.plain[0] == pytest.approx(3.0, abs=0.7)
    assert abs(found.plain[1]) < 0.4
    assert not found.by_length.any()
    assert not found.by_known.any()


def test_learned__parts_that_know_of_some_viewers__are_told_apart_by_the_gate() -> None:
    found = ranker.learned(examples(), "gated", 1e-4, steps=100)
    long, short = (found.plain + found.viewer_gate(np.array([n])) * found.by_length for n in (147, 2))
    assert long[0] > 1.5 > 0.7 > abs(long[1])
    assert short[1] > 1.5 > 0.7 > abs(short[0])


def test_learned__twice__is_the_same_and_more_penalty_is_less_weight() -> None:
    made = examples()
    first, again = (ranker.learned(made, "gated", 1e-3, steps=60) for _ in range(2))
    assert (first.plain == again.plain).all()
    held = ranker.learned(made, "gated", 1.0, steps=60)
    assert np.abs(held.plain).sum() < np.abs(first.plain).sum() / 2


def test_scores__gates__are_the_formula() -> None:
    random = np.random.default_rng(4)
    vectors = [random.standard_normal(3).astype(np.float32) for _ in range(3)]
    weights = ranker.Weights("gated", 0.0, vectors[0], vectors[1], vectors[2], (1.0, 2.0), (0.5, 0.7))
    z = random.standard_normal((2, 3, 6)).astype(np.float32)
    viewer, title = weights.viewer_gate(np.array([0, 100])), weights.title_gate(np.arange(6, dtype=np.float32))
    found = weights.scores(z, viewer, title)
    for row in range(2):
        for j in range(6):
            wanted = sum(
                (w + viewer[row] * u + title[j] * v) * x for w, u, v, x in zip(*vectors, z[row, :, j], strict=True)
            )
            assert found[row, j] == pytest.approx(wanted, abs=1e-4)
