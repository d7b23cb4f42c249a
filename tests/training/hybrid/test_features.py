"""Parts on one scale, and examples that stand for the whole catalogue."""

import numpy as np
import pytest

from training.dataset import Dataset, leave_out
from training.hybrid import features, parts
from training.hybrid.config import HybridConfig

pytestmark = pytest.mark.unit


def test_scaled__unseen_titles__have_mean_0_and_deviation_1(world: Dataset) -> None:
    split = leave_out(world, last=1, name="test")
    found = parts.counted(world, split.histories, HybridConfig())
    ways = tuple(part.name.startswith("next") for part in found)
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


def test_bent__scores_many_times_the_mean__keep_their_order() -> None:
    scores = np.array([[0.0, 0.0, 1.0, 5.0, 50.0]], np.float32)
    bent = features.bent(scores, np.ones_like(scores, dtype=np.bool_))
    assert np.all(np.diff(bent[0][1:]) > 0)
    assert bent[0, 0] == pytest.approx(np.log(0.01))


def test_examples__hard_and_drawn_titles__stand_for_every_unseen_one(world: Dataset) -> None:
    split = leave_out(world, last=1, name="test")
    found = parts.counted(world, split.histories, HybridConfig())
    counts = parts.popularity(split.histories, world.size)
    ways = [(False,) * len(found)]
    made = features.together([row[0] for row in features.examples(found, ways, split, counts, hard=4, drawn=3, seed=1)])
    assert len(made) == len(split)
    assert made.z.shape == (len(split), 8, len(found))
    standing_for = np.exp(made.log_count).sum(axis=1)
    unseen = [world.size - 1 - len(history) for history in split.histories]
    assert standing_for == pytest.approx(unseen, rel=1e-4)


def test_examples__more_asked_than_there_are__are_padded_with_nothing(world: Dataset) -> None:
    split = leave_out(world, last=1, name="test")
    found = parts.counted(world, split.histories, HybridConfig())
    counts = parts.popularity(split.histories, world.size)
    made = next(features.examples(found, [(False,) * len(found)], split, counts, hard=400, drawn=300, seed=1))[0]
    assert made.z.shape[1] == 701
    assert np.exp(made.log_count).sum() == pytest.approx(world.size - 1 - len(split.histories[0]), rel=1e-4)
