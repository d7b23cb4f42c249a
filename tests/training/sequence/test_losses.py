"""The softmax in blocks against the plain one, and sampled negatives against all of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from training.sequence.net_losses import cross_entropy, places_among, sampled, seen_before

pytestmark = pytest.mark.unit


def tensors(rows: int, size: int, *, is_normalised: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(rows * 100 + size)
    hidden, table = torch.randn(rows, 6), torch.randn(size, 6)
    if is_normalised:
        hidden, table = F.normalize(hidden, dim=-1), F.normalize(table, dim=-1)
    return hidden.requires_grad_(), table.requires_grad_(), torch.randint(1, size, (rows,))


@given(st.integers(1, 70), st.integers(2, 40), st.booleans(), st.sampled_from([1.0, 10.0, 33.0]))
@settings(deadline=None, max_examples=40)
def test_cross_entropy__any_shapes__equals_the_plain_one_with_its_gradients(
    rows: int, size: int, is_normalised: bool, scale: float
) -> None:
    hidden, table, targets = tensors(rows, size, is_normalised=is_normalised)
    logits = hidden @ table.T * scale
    targets[::5] = 0
    wanted = F.cross_entropy(logits[:, 1:], targets - 1, reduction="sum", ignore_index=-1)
    expected = torch.autograd.grad(wanted, [hidden, table])
    found = cross_entropy(hidden, table, targets, scale=scale, is_bounded=is_normalised, logits_mb=0)
    gradients = torch.autograd.grad(found, [hidden, table])
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4, abs=1e-3)
    for one, other in zip(gradients, expected, strict=True):
        assert torch.allclose(one, other, atol=2e-3 * scale, rtol=1e-3)


@pytest.mark.parametrize("is_normalised", [True, False])
def test_cross_entropy__titles_met_before__are_left_out(is_normalised: bool) -> None:
    hidden, table, targets = tensors(5, 9, is_normalised=is_normalised)
    seen = seen_before(torch.tensor([[0, 3, 5, 8, 2]]))[0]
    targets = torch.tensor([1, 4, 6, 7, 1])
    logits = (hidden @ table.T * 7.0).clone()
    for row, titles in enumerate(seen):
        logits[row, titles] = -torch.inf
    wanted = F.cross_entropy(logits, targets, reduction="sum")
    expected = torch.autograd.grad(wanted, [hidden, table])
    found = cross_entropy(hidden, table, targets, scale=7.0, is_bounded=is_normalised, logits_mb=1, seen=seen)
    gradients = torch.autograd.grad(found, [hidden, table])
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(gradients, expected, strict=True))


def test_seen_before__window__grows_by_one_title_a_place() -> None:
    assert seen_before(torch.tensor([[0, 4, 6]])).tolist() == [[[0, 0, 0], [0, 4, 0], [0, 4, 6]]]


@pytest.mark.parametrize("drawn", [0, 3])
def test_places_among__titles_met_before__leave_out_the_same_titles_of_the_candidates(drawn: int) -> None:
    torch.manual_seed(drawn)
    hidden, table, _ = tensors(5, 9, is_normalised=True)
    targets = torch.tensor([1, 4, 6, 7, 1])
    candidates, places, shift = sampled(targets, torch.full((9,), 1 / 8), drawn, 9)
    seen = seen_before(torch.tensor([[4, 3, 6, 8, 2]]))[0]
    logits = (hidden @ table[candidates].T * 7.0 + shift).clone()
    logits[:, 0] = -torch.inf
    for row, (titles, target) in enumerate(zip(seen, targets, strict=True)):
        met = torch.isin(candidates, titles) & (candidates != target)
        logits[row, met] = -torch.inf
    wanted = F.cross_entropy(logits, places, reduction="sum")
    chosen = places_among(candidates, seen)
    found = cross_entropy(
        hidden, table[candidates], places, scale=7.0, is_bounded=True, logits_mb=1, shift=shift, seen=chosen
    )
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert set(candidates[chosen].flatten().tolist()) == set(candidates.tolist()) & {0, *seen.flatten().tolist()}


def test_sampled__many_draws__estimate_the_sum_over_all_titles() -> None:
    torch.manual_seed(0)
    size = 200
    popularity = torch.rand(size) ** 3
    popularity[0] = 0.0
    popularity /= popularity.sum()
    logits = torch.randn(size)
    logits[0] = -torch.inf
    sums = []
    for _ in range(300):
        targets = torch.multinomial(popularity, 30, replacement=True)
        candidates, places, shift = sampled(targets, popularity, 40, size)
        assert candidates[0] == 0
        assert (candidates[places] == targets).all()
        sums.append((logits[candidates] + shift)[1:].exp().sum())
    assert float(torch.stack(sums).mean()) == pytest.approx(float(logits[1:].exp().sum()), rel=0.05)
