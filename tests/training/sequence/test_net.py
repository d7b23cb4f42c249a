"""The network: causal, indifferent to padding and company, equal to attention written out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from tests.training.sequence.worlds import tiny
from training.sequence.net import SequenceNet, gap_buckets
from training.sequence.net_blocks import GAP_BUCKETS, Attention, Scene

pytestmark = pytest.mark.unit

KINDS = [
    ("ligr", "learned", False),
    ("ligr", "relative", True),
    ("hstu", "both", True),
    ("hstu", "none", False),
    ("sasrec", "learned", False),
]
SIZE = 30


def network(block: str, position: str, has_time: bool, **values: object) -> SequenceNet:
    torch.manual_seed(1)
    net = tiny(block=block, position=position, has_time=has_time, **values).build(SIZE).eval()
    for parameter in net.parameters():  # also what starts at nothing shall matter
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return net


def times_of(rows: int, length: int) -> torch.Tensor:
    return torch.rand(rows, length + 1, dtype=torch.float64).mul(1e5).sort(dim=1).values


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_forward__a_later_title_changes__earlier_places_do_not(
    kind: tuple[str, str, bool], data: st.DataObject
) -> None:
    net = network(*kind)
    length = data.draw(st.integers(2, 8))
    at = data.draw(st.integers(1, length - 1))
    items, times = torch.randint(1, SIZE, (2, length)), times_of(2, length)
    changed, later = items.clone(), times.clone()
    changed[:, at:] = torch.randint(1, SIZE, (2, length - at))
    later[:, at + 1 :] += 1e6
    with torch.no_grad():
        before, after = net(items, times), net(changed, later)
    assert torch.allclose(before[:, :at], after[:, :at], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_newest__padding_and_company__change_nothing(kind: tuple[str, str, bool]) -> None:
    net = network(*kind)
    titles = torch.tensor([[3, 7, 9]])
    seconds = torch.tensor([[0.0, 0.0, 60.0, 4000.0, 90000.0]], dtype=torch.float64)
    with torch.no_grad():
        trained = net(F.pad(titles, (1, 0)), seconds)[:, -1]
        for pad in (1, 3, 5):
            items = F.pad(titles, (pad, 0))
            times = F.pad(seconds, (pad - 1, 0))
            alone = net.newest(items, times)
            beside = net.newest(
                torch.cat([items, torch.randint(1, SIZE, items.shape)]), torch.cat([times, times_of(1, items.shape[1])])
            )
            assert torch.allclose(alone, trained, atol=1e-5)
            assert torch.allclose(beside[:1], trained, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_newest__full_window__is_the_last_place_of_training(kind: tuple[str, str, bool]) -> None:
    net = network(*kind)
    items, times = torch.randint(1, SIZE, (3, 8)), times_of(3, 8)
    with torch.no_grad():
        assert torch.allclose(net.newest(items, times), net(items, times)[:, -1], atol=1e-5)


def test_newest__no_history__is_finite() -> None:
    net = network("ligr", "learned", False)
    with torch.no_grad():
        assert torch.isfinite(net.scores(torch.zeros(2, 5, dtype=torch.int64))).all()
        assert torch.isfinite(net.scores(torch.zeros(1, 1, dtype=torch.int64))).all()


def test_attention__with_and_without_bias__equals_loops() -> None:
    torch.manual_seed(2)
    attention = Attention(tiny(position="relative"))
    stream = torch.randn(2, 5, 16)
    steps = torch.randn(2, 8)
    for table in (torch.zeros(2, 8), steps):
        attention.bias.steps.data.copy_(table)
        wanted = by_hand(attention, stream, table)
        assert torch.allclose(attention(stream, Scene()), wanted, atol=1e-5)
    attention.bias.steps = None
    assert torch.allclose(attention(stream, Scene()), by_hand(attention, stream, torch.zeros(2, 8)), atol=1e-5)


def by_hand(attention: Attention, stream: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    query, both = attention.query(stream), attention.key_value(stream)
    out = torch.zeros_like(stream)
    for row in range(len(stream)):
        for place in range(stream.shape[1]):
            for head in range(2):
                part = slice(8 * head, 8 * head + 8)
                weights = torch.tensor(
                    [
                        float(query[row, place, part] @ both[row, other, 16 * head : 16 * head + 8]) / math.sqrt(8)
                        + float(steps[head, place - other])
                        for other in range(place + 1)
                    ]
                ).softmax(0)
                for other, weight in enumerate(weights):
                    out[row, place, part] += weight * both[row, other, 16 * head + 8 : 16 * head + 16]
    return attention.out(out)


def test_gap_buckets__seconds_to_years__grow_and_stay_in_range() -> None:
    times = torch.tensor([[0.0, 1.0, 60.0, 86400.0, 3e9, 3e9]], dtype=torch.float64)
    buckets = gap_buckets(times)
    assert buckets.shape == (1, 5, 5)
    assert buckets.min() == 0
    assert buckets.max() < GAP_BUCKETS
    last = buckets[0, -1].numpy()
    assert (np.diff(last) <= 0).all()
