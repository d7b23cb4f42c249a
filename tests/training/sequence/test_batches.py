"""Windows and steps: every event once, the same plan for the same seed, right targets whatever the padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.sequence.worlds import history
from training.sequence.batches import Feeder, pack, padded_length, plan, windows

pytestmark = pytest.mark.unit

SIZES = st.lists(st.integers(0, 60), max_size=12)


def packed_of(sizes: list[int]):
    return pack([history(*(np.arange(size) + 1 + 100 * number)) for number, size in enumerate(sizes)])


@given(SIZES, st.integers(2, 20), st.integers(0, 2**31))
def test_windows__any_histories__hold_every_event_once(sizes: list[int], length: int, seed: int) -> None:
    packed = packed_of(sizes)
    starts, counts = windows(packed, length, np.random.default_rng(seed))
    assert ((counts > 0) & (counts <= length)).all()
    targets = [
        packed.items[start + 1 + step] for start, count in zip(starts, counts, strict=True) for step in range(count)
    ]
    assert sorted(targets) == sorted(packed.items[packed.items > 0])


@given(SIZES, st.integers(2, 20), st.integers(1, 200), st.integers(0, 5))
def test_plan__any_histories__keeps_every_window_within_the_limit(
    sizes: list[int], length: int, tokens: int, epoch: int
) -> None:
    packed = packed_of(sizes)
    steps = plan(packed, length=length, batch_tokens=tokens, seed=1, epoch=epoch)
    assert sum(int(counts.sum()) for _, counts in steps) == packed.events
    for _, counts in steps:
        assert len(counts) == 1 or len(counts) * padded_length(counts.max()) <= tokens
    again = plan(packed, length=length, batch_tokens=tokens, seed=1, epoch=epoch)
    assert all((a == b).all() for one, other in zip(steps, again, strict=True) for a, b in zip(one, other, strict=True))


@given(SIZES.filter(any), st.integers(2, 20), st.integers(1, 3))
def test_batch__any_windows__pair_each_title_with_the_next(sizes: list[int], length: int, processes: int) -> None:
    packed = packed_of(sizes)
    feeder = Feeder(packed, "cpu", length=length, has_time=True)
    found = []
    for step in plan(packed, length=length, batch_tokens=64, seed=1, epoch=0):
        for share in range(processes):
            batch = feeder.batch(step, share=share, of=processes)
            items, targets = batch.items.numpy(), batch.targets.numpy()
            inner = (items[:, 1:] > 0) & (targets[:, :-1] > 0)
            assert (items[:, 1:][inner] == targets[:, :-1][inner]).all()
            assert ((targets == items + 1) | (items == 0) | (targets == 0)).all()
            assert (np.diff(batch.times.numpy(), axis=1) >= 0).all()
            found += targets[targets > 0].tolist()
    assert sorted(found) == sorted(packed.items[packed.items > 0])


def test_plan__long_histories__computes_little_on_padding() -> None:
    random = np.random.default_rng(0)
    packed = pack([history(*range(1, int(size) + 1)) for size in random.lognormal(4.5, 1.0, 400).clip(5, 2000)])
    steps = plan(packed, length=200, batch_tokens=4096, seed=1, epoch=0)
    computed = sum(len(counts) * padded_length(counts.max()) for _, counts in steps)
    assert packed.events / computed > 0.88
