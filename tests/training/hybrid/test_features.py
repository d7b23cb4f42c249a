"""Parts on one scale, and examples that stand for the whole catalogue."""

from collections.abc import Sequence

import numpy as np
import pytest

from training.dataset import Dataset, Floats, History, leave_out
from training.hybrid import features, parts
from training.hybrid.config import HybridConfig

pytestmark = pytest.mark.unit
COUNTS = HybridConfig(mixture=None, sequence=None)


class Flat:
    """Says the same of every title."""

    def __init__(self, size: int) -> None:
        self.size = size

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002
        return np.full((len(histories), self.size), 7.0, np.float32)


def test_scaled__unseen_titles__have_mean_0_and_deviation_1(world: Dataset) -> None:
    split = leave_out(world, last=1, name="test")
    found = parts.counted(world, split.histories, COUNTS)
    ways = tuple(part.name not in parts.NEVER_BENT for part in found)
    raw = features.raw(found, split.histories[:5], split.contexts[:5])
    got = features.scaled(raw, ways, split.histories[:5])
    for row in range(5):
        unseen = got.unseen[row]
        assert not unseen[0]
        assert not unseen[split.histories[row].items].any()
        assert np.allclose(got.z[row][:, unseen].mean(axis=1), 0.0, atol=1e-4)
        deviation = got.z[row][:, unseen].std(axis=1)
        assert np.all((np.abs(deviation - 1.0) < 1e-3) | (got.scale[row] == 0))


def test_scaled__part_without_a_word__is_zero(world: Dataset) -> None:
    flat = [np.full((1, world.size), 7.0, np.float32), np.zeros((1, world.size), np.float32)]
    got = features.scaled(flat, (False, True), [world.histories[0]])
    assert not got.z.any()
    assert not got.scale.any()


def test_bent__scores_many_times_the_mean_and_below_0__keep_their_order() -> None:
    scores = np.array([[0.0, -3.0, 0.0, 1.0, 5.0, 50.0]], np.float32)
    bent = features.bent(scores, np.ones_like(scores, dtype=np.bool_))
    assert np.all(np.diff(bent[0][2:]) > 0)
    assert bent[0, 0] == bent[0, 1] == pytest.approx(np.log(0.01))


@pytest.mark.parametrize(("top", "drawn"), [(4, 3), (1, 1), (400, 300)])
def test_examples__best_and_drawn_titles__stand_for_every_unseen_one(world: Dataset, top: int, drawn: int) -> None:
    split = leave_out(world, last=1, name="test")
    found = parts.counted(world, split.histories, COUNTS)
    made, rows = features.examples(found, [True] * len(found), split, length=200, top=top, drawn=drawn, seed=1)
    assert len(made) == len(split) == len(rows)
    assert made.z.shape == (len(split), 1 + top * len(found) + drawn, len(found))
    standing_for = np.exp(made.log_count).sum(axis=1)
    unseen = [world.size - 1 - len(history) for history in split.histories]
    assert standing_for == pytest.approx(unseen, rel=1e-4)


def test_examples__history_longer_than_what_is_looked_at__its_old_titles_are_no_candidates(world: Dataset) -> None:
    split = leave_out(world, last=1, name="test")
    made, _ = features.examples([Flat(world.size)], [False], split, length=3, top=400, drawn=1, seed=1)
    assert np.exp(made.log_count).sum(axis=1) == pytest.approx([world.size - 1 - len(h) for h in split.histories])
