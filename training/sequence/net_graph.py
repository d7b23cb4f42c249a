"""The graph that is exported: a trained network with the inputs that every served model takes.

Belongs here: translating the served signature into what the network takes. Does not belong here: writing and checking files
(export), choosing the best titles (a graph that sorts the catalogue would be slower than who asks it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.sequence.net import SequenceNet
from training.sequence.net_heads import Prepared
from training.sequence.net_reasons import newest_and_without

SECONDS_PER_DAY = 86_400.0


class Ranker(nn.Module):
    """History in; scores of the catalogue, and what each watched title contributes to some of them, out."""

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net
        prepared = net.head.prepared(net.table())
        self.names = [f"catalogue_{number}" for number in range(len(prepared))]
        for name, made in zip(self.names, prepared, strict=True):
            self.register_buffer(name, made.detach().contiguous())

    @property
    def prepared(self) -> Prepared:
        """What the network's head made of the catalogue."""
        return tuple(self.get_buffer(name) for name in self.names)

    def forward(
        self,
        items: Tensor,
        values: Tensor,  # noqa: ARG002 (the served signature)
        ages_days: Tensor,
        context: Tensor,  # noqa: ARG002
        titles: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """``scores`` ``[B, N+1]`` and ``contributions`` ``[B, T, K]`` by attention knockout (net_reasons).

        Args:
            items: int64 ``[B, T]``, newest at the right, 0 at the left where there is no title.
            values: float32 ``[B, T]``, taken and not used.
            ages_days: float32 ``[B, T]``, age of each event at the time of the request.
            context: float32 ``[B, F]``, taken and not used.
            titles: int64 ``[B, K]``, whose contributions are asked for; 0 = none.
        """
        viewer, without = newest_and_without(self.net, items, self.times(items, ages_days))
        return self.net.head.scores(viewer, self.prepared), self._lost(items, viewer, without, titles)

    def scores(self, items: Tensor, ages_days: Tensor) -> Tensor:
        """Scores of the catalogue alone, ``[B, N+1]``."""
        return self.net.head.scores(self.net.newest(items, self.times(items, ages_days)), self.prepared)

    def contributions(self, items: Tensor, ages_days: Tensor, titles: Tensor) -> Tensor:
        """What the scores of ``titles`` ``[B, K]`` lose without each watched title, ``[B, T, K]``; 0 for padding."""
        viewer, without = newest_and_without(self.net, items, self.times(items, ages_days))
        return self._lost(items, viewer, without, titles)

    def _lost(self, items: Tensor, viewer: Tensor, without: Tensor, titles: Tensor) -> Tensor:
        found = self.net.head.lost(viewer, without, self.prepared, titles)
        return found * (items > 0)[..., None] * (titles > 0)[:, None]

    def times(self, items: Tensor, ages_days: Tensor) -> Tensor | None:
        """Seconds ``[B, T+1]`` from ages; None for a network that does not look at time."""
        if not self.net.config.has_time:
            return None
        before = -ages_days.to(torch.float64) * SECONDS_PER_DAY
        oldest = before.amin(dim=1, keepdim=True)
        return torch.cat([torch.where(items > 0, before, oldest), torch.zeros_like(oldest)], dim=1)
