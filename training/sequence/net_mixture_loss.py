"""The softmax loss of a mixture of logits that never holds all of them at once.

Belongs here: cross entropy over titles with its gradient, in blocks. Does not belong here: what vectors and gates are made of
(net_mixture), the same for one dot product and how negatives are sampled (net_losses).

``P`` numbers for every event and title are ``P`` times what a dot product needs. As there, a block of events is turned into loss
and gradient while it lies in the cache, and forgotten. With gates ``g``, cosines ``c`` and their mixture ``m = sum g c``, a gradient ``t``
of the mixture is ``t g`` of the cosines and ``t g (c - m)`` of what the softmax of the gates was taken of.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BYTES = 4
FEWEST = 4
"""Events of a block, however large the catalogue."""


class _CrossEntropy(torch.autograd.Function):
    """Sum of the cross entropies of all rows; gradients are made together with the value."""

    @staticmethod
    def forward(
        ctx: Any,
        viewers: Tensor,
        of_viewers: Tensor,
        titles: Tensor,
        of_titles: Tensor,
        of_pairs: Tensor,
        targets: Tensor,
        shift: Tensor,
        scale: float,
        bound: float,
        rows: int,
        seen: Tensor | None,
    ) -> Tensor:
        count, size = len(viewers), titles.shape[1]
        across = titles.transpose(1, 2).contiguous()
        total = torch.zeros((), dtype=torch.float32, device=viewers.device)
        gradients = [torch.zeros_like(one) for one in (viewers, of_viewers, titles, of_titles, of_pairs)]
        to_viewers, to_of_viewers, to_titles, to_of_titles, to_pairs = gradients
        for start in range(0, len(targets), rows):
            block = slice(start, start + rows)
            wanted = targets[block, None]
            part, of_part = viewers[:, block].reshape(-1, viewers.shape[2]), of_viewers[:, block]
            part = part[None].expand(len(titles), -1, -1)
            cosines = torch.bmm(part, across).view(-1, len(wanted), size)
            gates = (of_pairs @ cosines.flatten(1)).view_as(cosines)
            gates = torch.softmax(gates.addcmul_(of_part[..., None], of_titles[:, None]), dim=0)
            mixed = (gates * cosines).sum(dim=0)
            loss, weight = _slope(mixed * scale + shift, wanted, bound, None if seen is None else seen[block])
            total += loss
            gates *= weight.mul_(scale)
            to_gates = (cosines - mixed).mul_(gates)
            to_cosines = torch.addmm(gates.flatten(1), of_pairs.T, to_gates.flatten(1))
            to_pairs.addmm_(to_gates.flatten(1), cosines.flatten(1).T)
            to_of_viewers[:, block] = torch.bmm(to_gates, of_titles[..., None])[..., 0]
            to_of_titles += torch.bmm(of_part[:, None], to_gates)[:, 0]
            to_cosines = to_cosines.view(len(titles), -1, size)
            to_viewers[:, block] = torch.bmm(to_cosines, titles).sum(dim=0).view(count, len(wanted), -1)
            to_titles.baddbmm_(to_cosines.transpose(1, 2), part)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*(one * gradients[0] for one in ctx.saved_tensors), None, None, None, None, None, None)


def _slope(logits: Tensor, wanted: Tensor, bound: float, seen: Tensor | None) -> tuple[Tensor, Tensor]:
    """The block's loss, and what it changes with each logit ``[r, C]``; ``logits`` are overwritten."""
    hit = logits.gather(1, wanted)
    offset = bound or logits.amax(dim=1, keepdim=True)
    weight = logits.sub_(offset).exp_()
    if seen is not None:
        weight.scatter_(1, seen, 0.0)
        weight.scatter_(1, wanted, (hit - offset).exp())
    mass = weight.sum(dim=1, keepdim=True)
    loss = (mass.log() + offset - hit).sum()
    return loss, weight.div_(mass).scatter_add_(1, wanted, torch.full_like(hit, -1.0))


def mixture_cross_entropy(
    viewers: Tensor,
    of_viewers: Tensor,
    titles: Tensor,
    of_titles: Tensor,
    of_pairs: Tensor,
    targets: Tensor,
    *,
    scale: float,
    logits_mb: int,
    shift: Tensor | None = None,
    seen: Tensor | None = None,
) -> Tensor:
    """Sum over rows of the cross entropy of ``scale * (gates * cosines).sum() + shift``; column 0 is left out.

    Args:
        viewers: ``[P_u, n, w]``, of length 1.
        of_viewers: Their say in the gates, ``[P, n]``.
        titles: ``[P_x, C, w]``, of length 1; row 0 is the padding.
        of_titles: Their say in the gates, ``[P, C]``; the product with the viewers' counts.
        of_pairs: ``[P, P]``, the say of all cosines in each gate; pairs are in the order of titles' vectors, then viewers'.
        targets: int64 ``[n]``, none of them 0.
        scale: One over the temperature.
        logits_mb: Largest block of the ``P`` cosines of each event and title, in MiB.
        shift: ``[C]``, added to each row's logits.
        seen: int64 ``[n, S]``: titles that a row leaves out, filled up with 0.
    """
    columns = torch.zeros(titles.shape[1], device=titles.device) if shift is None else shift.clone()
    columns[0] = -torch.inf
    rows = max(FEWEST, logits_mb * 2**20 // (BYTES * len(of_pairs) * titles.shape[1]))
    bound = scale if shift is None else 0.0
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        viewers, of_viewers, titles, of_titles, of_pairs, targets, columns, scale, bound, rows, seen
    )
    return loss
