"""Reasons: every title cut off at once equals cutting one edge and running again; padding and odd histories."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.training.sequence.worlds import tiny
from training.sequence.net import SequenceNet, places
from training.sequence.net_blocks import Scene
from training.sequence.net_reasons import newest_and_without

pytestmark = pytest.mark.unit

SIZE = 30
KINDS = [
    (block, position, has_time)
    for block in ("ligr", "hstu", "sasrec")
    for position, has_time in (("none", False), ("learned", False), ("relative", True), ("both", True))
]


def network(block: str, position: str, has_time: bool, **values: object) -> SequenceNet:
    torch.manual_seed(1)
    net = tiny(block=block, position=position, has_time=has_time, **values).build(SIZE).eval()
    for parameter in net.parameters():  # also what starts at nothing shall matter
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return net


def some(counts: list[int], length: int) -> tuple[Tensor, Tensor]:
    """Histories of so many titles, padded at the left; the padding has the time of the oldest event."""
    items = torch.randint(1, SIZE, (len(counts), length))
    times = torch.rand(len(counts), length + 1, dtype=torch.float64).mul(1e5).sort(dim=1).values
    for row, count in enumerate(counts):
        items[row, : length - count] = 0
        times[row, : length - count] = times[row, length - count]
    return items, times


def knocked_out(net: SequenceNet, items: Tensor, times: Tensor, at: int) -> Tensor:
    """The slow way: everything again, the last row of the mask without one column, in every block."""
    keep, place = places(items)
    scene = net.scene(items, keep, times)
    assert scene.visible is not None
    visible = scene.visible.clone()
    visible[:, :, -1, at] = False
    stream = net.embedded(items, place)
    for block in net.blocks:
        stream = block(stream, Scene(visible, scene.gaps))
    return net.finished(stream[:, -1])


def shortened(net: SequenceNet, items: Tensor, times: Tensor) -> Tensor:
    """The same viewers, asked at the same time, who have not met their newest title."""
    return net.newest(items[:, :-1], torch.cat([times[:, :-2], times[:, -1:]], dim=1))


@pytest.mark.parametrize("kind", KINDS)
@given(counts=st.lists(st.integers(0, 8), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_newest_and_without__any_histories__equals_one_edge_cut_at_a_time(
    kind: tuple[str, str, bool], counts: list[int], seed: int
) -> None:
    net = network(*kind)
    torch.manual_seed(seed)
    items, times = some(counts, 8)
    with torch.no_grad():
        viewer, without = newest_and_without(net, items, times)
        assert torch.equal(viewer, net.newest(items, times))
        slow = [knocked_out(net, items, times, at) for at in range(7)]
        wanted = torch.stack([*slow, shortened(net, items, times)], dim=1)
    is_title = items > 0
    assert torch.allclose(without[is_title], wanted[is_title], atol=1e-5)
    assert torch.equal(without[~is_title], viewer[:, None].expand_as(without)[~is_title])


@pytest.mark.parametrize("kind", KINDS)
def test_newest_and_without__a_title_in_sight__matters(kind: tuple[str, str, bool]) -> None:
    net = network(*kind)
    items, times = some([8, 5], 8)
    with torch.no_grad():
        viewer, without = newest_and_without(net, items, times)
    moved = (viewer[:, None] - without).abs().amax(dim=2)
    assert (moved[items > 0] > 1e-6).all()
    assert (moved[items == 0] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 8])
def test_newest_and_without__one_title_or_none__is_what_a_new_viewer_gets(
    kind: tuple[str, str, bool], length: int
) -> None:
    net = network(*kind)
    items = torch.zeros(2, length, dtype=torch.int64)
    items[0, -1] = 5
    times = torch.full((2, length + 1), 1e5, dtype=torch.float64)
    with torch.no_grad():
        viewer, without = newest_and_without(net, items, times)
        nobody = net.newest(torch.zeros(1, 1, dtype=torch.int64), times[:1, :2])
    assert torch.allclose(viewer[1], nobody[0], atol=1e-5)
    assert torch.allclose(without[0, -1], nobody[0], atol=1e-5)
    assert torch.equal(without[1], viewer[1].expand_as(without[1]))
    assert torch.isfinite(without).all()


def test_newest_and_without__padding_and_company__change_nothing() -> None:
    net = network("ligr", "both", True)
    items, times = some([3, 8], 8)
    with torch.no_grad():
        _, beside = newest_and_without(net, items, times)
        _, alone = newest_and_without(net, items[:1, -4:], times[:1, -5:])
    assert torch.allclose(beside[:1, -3:], alone[:, -3:], atol=1e-5)


def test_newest_and_without__no_layers__only_the_newest_title_matters() -> None:
    net = network("ligr", "learned", False, layers=0)
    items, times = some([5], 8)
    with torch.no_grad():
        viewer, without = newest_and_without(net, items, times)
    assert torch.equal(without[:, :-1], viewer[:, None].expand(-1, 7, -1))
    assert not torch.allclose(without[:, -1], viewer)
