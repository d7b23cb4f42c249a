"""Attention knockout: what the last place would be if it might not look at one of the places before it.

Belongs here: who may see whom in such a run, attention over the full run's keys and one key of one's own. Does not belong here:
the blocks (net_blocks), what is made of it (net_reasons).

Geva et al. 2023 ("Dissecting Recall of Factual Associations in Auto-Regressive Language Models", EMNLP) cut edges from some
places to the last one and look at what the output loses. Here an edge is cut in every block. The places before the last never see
the last one, so cutting its edges changes nothing in them: their keys and values are those of the full run, and all variants
together cost about one more pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Cut:
    """Variants of the last place, one for each place of the history, and what each may see.

    Attributes:
        visible: bool ``[B, 1, T, T+1]``: of the places of the full run; the last column is the variant itself, always seen.
        at: Where each variant stands, int64 ``[T]``.
        gaps: Buckets of the time between each place and the request, int64 ``[B, T]``; None: not known.
    """

    visible: Tensor
    at: Tensor
    gaps: Tensor | None

    def distance(self) -> Tensor:
        """Steps between where a variant stands and what it sees, int64 ``[T, T+1]``."""
        place = torch.arange(self.at.shape[0], device=self.at.device)
        return torch.cat([self.at[:, None] - place[None], torch.zeros_like(self.at)[:, None]], dim=1)


def cut_one_by_one(keep: Tensor, gaps: Tensor | None) -> Cut:
    """Variant ``i`` stands at the last place and does not see place ``i``.

    The variant that does without the last place cannot stand there: it stands at the one before. All of them are asked at the
    same time, that of the request.

    Args:
        keep: bool ``[B, T]``, places that may be seen at all.
        gaps: Buckets ``[B, T or 1, T]`` as in Scene, the last row those of the request; None: not known.
    """
    place = torch.arange(keep.shape[1], device=keep.device)
    last = keep.shape[1] - 1
    at = torch.where(place == last, last - 1, last).clamp(min=0)
    seen = (place[None] < at[:, None]) & (place[None] != place[:, None])
    itself = torch.ones_like(keep)[:, :, None]
    visible = torch.cat([seen[None] & keep[:, None], itself], dim=2)[:, None]
    return Cut(visible, at, None if gaps is None else gaps[:, -1])


def likeness(query: Tensor, key: Tensor, own_key: Tensor) -> Tensor:
    """Products of queries ``[B, H, L, e]`` with all keys ``[B, H, T, e]`` and the asking one's own: ``[B, H, L, T+1]``."""
    return torch.cat([query @ key.transpose(-1, -2), (query * own_key).sum(dim=-1, keepdim=True)], dim=-1)


def mixture(weight: Tensor, value: Tensor, own_value: Tensor) -> Tensor:
    """Values under weights of that shape, ``[B, H, L, e]``."""
    return weight[..., :-1] @ value + weight[..., -1:] * own_value
