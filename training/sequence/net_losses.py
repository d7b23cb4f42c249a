"""Softmax losses that never hold all logits at once.

Belongs here: cross entropy over titles with its gradient, in blocks; how negatives are sampled and corrected for.
Does not belong here: the network, which loss a recipe takes.

Logits of [events, titles] are the largest thing in this training. Here a block of rows is multiplied, turned into loss and
gradient while it lies in the cache, and forgotten: three matrix products and two passes, nothing kept for a backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BYTES = 4


class _CrossEntropy(torch.autograd.Function):
    """Sum of the cross entropies of all rows; gradients are made together with the value."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        titles: Tensor,
        targets: Tensor,
        shift: Tensor,
        scale: float,
        bound: float,
        rows: int,
        seen: Tensor | None,
        is_half: bool,
    ) -> Tensor:
        kind = torch.bfloat16 if is_half else titles.dtype
        table = (titles * scale).to(kind)
        across, whole = table.T.contiguous(), hidden.to(kind)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        of_hidden, of_titles = torch.empty_like(hidden), torch.zeros_like(titles)
        columns = shift.to(kind)
        for start in range(0, len(hidden), rows):
            part, wanted = whole[start : start + rows], targets[start : start + rows]
            logits = torch.addmm(columns, part, across)
            hit = logits.gather(1, wanted[:, None]).float()
            offset = bound or logits.amax(dim=1, keepdim=True)
            weight = logits.sub_(offset).exp_()
            if seen is not None:
                weight.scatter_(1, seen[start : start + rows], 0.0)
                weight.scatter_(1, wanted[:, None], (hit - offset).exp().to(kind))
            mass = weight.sum(dim=1, keepdim=True).float()
            is_event = wanted[:, None] > 0
            total += torch.where(is_event, mass.log() + offset - hit, 0.0).sum()
            mass.masked_fill_(~is_event, torch.inf)
            of_hidden[start : start + rows] = torch.mm(weight, table).div_(mass)
            of_titles += torch.mm(weight.T, (part / mass).to(kind))
        is_event = (targets > 0)[:, None]
        of_hidden -= torch.where(is_event, table[targets], 0.0)
        of_titles.index_add_(0, targets, torch.where(is_event, hidden, 0.0), alpha=-1.0)
        ctx.save_for_backward(of_hidden, of_titles.mul_(scale))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_hidden, of_titles = ctx.saved_tensors
        return of_hidden * gradients[0], of_titles * gradients[0], None, None, None, None, None, None, None


def cross_entropy(
    hidden: Tensor,
    titles: Tensor,
    targets: Tensor,
    *,
    scale: float,
    is_bounded: bool,
    logits_mb: int,
    shift: Tensor | None = None,
    seen: Tensor | None = None,
    is_half: bool = False,
) -> Tensor:
    """Sum over rows of ``logsumexp(scale * hidden @ titles.T + shift) - (the target's logit)``; column 0 is left out.

    Args:
        hidden: ``[n, d]``.
        titles: ``[C, d]``; row 0 is the padding.
        targets: int64 ``[n]``; rows with 0 do not count.
        scale: One over the temperature.
        is_bounded: Rows of both have length 1: no maximum needs to be looked for.
        logits_mb: Largest block of logits, in MiB.
        shift: ``[C]``, added to each row's logits.
        seen: int64 ``[n, S]``: titles that a row leaves out, filled up with 0.
        is_half: Multiply in bfloat16.
    """
    columns = torch.zeros(len(titles), dtype=hidden.dtype, device=hidden.device) if shift is None else shift.clone()
    columns[0] = -torch.inf
    rows = max(16, logits_mb * 2**20 // (BYTES * len(titles)))
    bound = scale if is_bounded and shift is None else 0.0
    loss: Tensor = _CrossEntropy.apply(hidden, titles, targets, columns, scale, bound, rows, seen, is_half)  # type: ignore[no-untyped-call]
    return loss


def sampled(targets: Tensor, popularity: Tensor, negatives: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates of one step: its targets and uniform negatives, corrected for how likely each is to be among them.

    A candidate's weight is divided by its chance of inclusion (from the batch by its popularity, or drawn), which makes
    the sum over candidates an unbiased estimate of the sum over all titles.

    Args:
        targets: int64 ``[n]``; 0 where there is none.
        popularity: ``[N+1]``, share of each title in all events.
        negatives: How many are drawn, with replacement.
        size: Rows of the catalogue, the padding included.

    Returns:
        Candidates ``[C]`` (first 0, the padding), targets as places in them ``[n]``, and the shift of their logits ``[C]``.
    """
    drawn = torch.randint(1, size, (negatives,), device=targets.device)
    candidates = torch.cat([torch.zeros_like(targets[:1]), targets, drawn]).unique()  # type: ignore[no-untyped-call]
    missed = (1.0 - popularity[candidates]).clamp(min=1e-6).pow(len(targets)) * (1.0 - 1.0 / (size - 1)) ** negatives
    return candidates, torch.searchsorted(candidates, targets), -torch.log1p(-missed)


def places_among(candidates: Tensor, titles: Tensor) -> Tensor:
    """Where titles stand among the candidates of :func:`sampled`, 0 for those that do not: any shape -> the same."""
    places = torch.searchsorted(candidates, titles).clamp(max=len(candidates) - 1)
    return torch.where(candidates[places] == titles, places, 0)


def seen_before(items: Tensor) -> Tensor:
    """Titles that each place of a window has met, itself included: ``[B, T]`` -> ``[B, T, T]``, filled up with 0."""
    length = items.shape[1]
    met = torch.ones(length, length, dtype=torch.bool, device=items.device).tril()
    return torch.where(met[None], items[:, None, :], 0)
