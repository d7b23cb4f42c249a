"""The mixture of logits: its loss in blocks against the plain one, gates, one pair against the dot product, reasons."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tests.training.sequence.worlds import tiny
from training.sequence.config import MixtureConfig, SequenceConfig
from training.sequence.net import SequenceNet
from training.sequence.net_graph import Ranker
from training.sequence.net_losses import seen_before
from training.sequence.net_mixture import MixtureHead
from training.sequence.net_reasons import newest_and_without

pytestmark = pytest.mark.unit

SIZE = 30


def mixed(viewer_parts: int = 3, title_parts: int = 2, **values: object) -> SequenceConfig:
    head = MixtureConfig(viewer_parts=viewer_parts, title_parts=title_parts, gate_dropout=0.0, **values)  # type: ignore[arg-type]
    return tiny(head=head)


def network(config: SequenceConfig) -> SequenceNet:
    torch.manual_seed(1)
    net = config.build(SIZE).eval()
    for parameter in net.parameters():  # also what starts at nothing shall matter
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return net


def plain(net: SequenceNet, viewers: Tensor, table: Tensor) -> Tensor:
    """All logits at once."""
    return net.head.scores(viewers, net.head.prepared(table))


def some(rows: int) -> tuple[Tensor, Tensor]:
    return F.normalize(torch.randn(rows, 16), dim=-1).requires_grad_(), torch.randint(1, SIZE, (rows,))


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 3), st.sampled_from([0, 5]), st.booleans())
@settings(deadline=None, max_examples=25)
def test_loss__any_shapes__equals_the_plain_one_with_its_gradients(
    rows: int, viewer_parts: int, title_parts: int, part_width: int, is_shifted: bool
) -> None:
    net = network(mixed(viewer_parts, title_parts, part_width=part_width))
    hidden, targets = some(rows)
    targets[::5] = 0
    shift = torch.randn(SIZE) if is_shifted else None
    wanted = [hidden, net.titles.weight, *net.head.parameters()]
    logits = plain(net, hidden, net.table()) + (0.0 if shift is None else shift)
    expected = F.cross_entropy(logits[:, 1:], targets - 1, reduction="sum", ignore_index=-1)
    found = net.head.loss(hidden, net.table(), targets, logits_mb=0, shift=shift)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-3)
    slopes = [torch.autograd.grad(loss, wanted, allow_unused=True) for loss in (expected, found)]
    for one, other in zip(*slopes, strict=True):
        assert one is not None
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


def test_loss__titles_met_before__are_left_out() -> None:
    net = network(mixed())
    hidden, _ = some(5)
    seen, targets = seen_before(torch.tensor([[0, 3, 5, 8, 2]]))[0], torch.tensor([1, 4, 6, 0, 5])
    logits = plain(net, hidden, net.table()).clone()
    for row, titles in enumerate(seen.tolist()):
        for title in {0, *titles} - {int(targets[row])}:
            logits[row, title] = -torch.inf
    is_event = targets > 0
    expected = F.cross_entropy(logits[is_event], targets[is_event], reduction="sum")
    found = net.head.loss(hidden, net.table(), targets, logits_mb=1, seen=seen)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    one, other = (torch.autograd.grad(loss, hidden)[0] for loss in (expected, found))
    assert torch.allclose(one, other, atol=1e-4)


def test_loss__no_event_in_the_step__is_nothing() -> None:
    net = network(mixed())
    loss = net.head.loss(some(3)[0], net.table(), torch.zeros(3, dtype=torch.int64), logits_mb=1)
    loss.backward()
    assert loss.item() == 0.0
    assert all(one.grad is not None and not one.grad.any() for one in net.head.parameters())


@pytest.mark.parametrize("is_training", [False, True])
def test_gates__any_viewer_and_title__sum_to_one_and_differ(is_training: bool) -> None:
    net = network(tiny(head=MixtureConfig(viewer_parts=3, gate_dropout=0.5))).train(is_training)
    head, cosines = net.head, torch.rand(6, 4, SIZE) * 2 - 1
    assert isinstance(head, MixtureHead)
    gates = head.gates(cosines, head.viewer_gate(some(4)[0]), head.title_gate(net.table()))
    assert gates.shape == cosines.shape
    assert torch.allclose(gates.sum(dim=0), torch.ones(4, SIZE), atol=1e-5)
    assert (gates.std(dim=(1, 2)) > 0).all()


def test_scores__one_pair_of_whole_vectors__are_those_of_the_dot_product() -> None:
    torch.manual_seed(1)
    one = mixed(1, 1).build(SIZE).eval()
    dot = tiny().build(SIZE).eval()
    dot.load_state_dict({name: value for name, value in one.state_dict().items() if not name.startswith("head.")})
    items = torch.randint(1, SIZE, (4, 6))
    with torch.no_grad():
        assert torch.allclose(one.scores(items), dot.scores(items), atol=1e-4)
        hidden, targets = some(9)
        losses = [net.head.loss(hidden, net.table(), targets, logits_mb=1).item() for net in (one, dot)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_scores__mixture_at_its_beginning__is_near_the_dot_product() -> None:
    torch.manual_seed(1)
    net = tiny(head=MixtureConfig()).build(SIZE).eval()
    viewers = some(20)[0]
    with torch.no_grad():
        found, dots = plain(net, viewers, net.table()), viewers @ net.table().T
    assert torch.corrcoef(torch.stack([found.flatten(), dots.flatten()]))[0, 1] > 0.8


def test_scores__title_of_zeros__are_nothing() -> None:
    net = network(mixed())
    net.titles.weight.data[7] = 0.0
    with torch.no_grad():
        found = net.scores(torch.tensor([[0, 3, 7], [0, 0, 0]]))
    assert torch.isfinite(found).all()
    assert (found[:, 7] == 0).all()


def test_lost__asked_titles__is_the_difference_of_two_scores() -> None:
    net = network(mixed())
    items, titles = torch.tensor([[0, 0, 4, 9], [3, 8, 1, 2]]), torch.tensor([[5, 0, 6], [7, 7, 1]])
    ages = torch.zeros(2, 4)
    ranker = Ranker(net).eval()
    with torch.no_grad():
        _, without = newest_and_without(net, items, None)
        scores = ranker.scores(items, ages)
        less = torch.stack([plain(net, without[:, place], net.table()) for place in range(4)], dim=1)
        found = ranker.contributions(items, ages, titles)
        whole, parts = ranker(items, ages, ages, torch.zeros(2, 1), titles)
    wanted = (scores[:, None] - less).gather(2, titles[:, None].expand(-1, 4, -1))
    wanted = wanted * (titles > 0)[:, None] * (items > 0)[..., None]
    assert torch.allclose(scores, net.scores(items), atol=1e-5)
    assert torch.allclose(found, wanted, atol=1e-4)
    assert (found[0, :2] == 0).all()
    assert (found[..., titles[0] == 0][0] == 0).all()
    assert torch.equal(parts, found)
    assert torch.allclose(whole, scores)


def test_config__dot_product__is_written_down_as_before_there_was_a_choice() -> None:
    assert "head" not in SequenceConfig().model_dump()
    assert SequenceConfig().fingerprint() == "0ed4c5e21505"
    kept = mixed()
    assert SequenceConfig(**kept.model_dump(mode="json")) == kept


def test_config__mixture_of_plain_dot_products__is_refused() -> None:
    with pytest.raises(ValueError, match="is_normalised"):
        tiny(head=MixtureConfig(), is_normalised=False)
