"""The graph that is exported: a trained network with the inputs that every served model takes.

Belongs here: translating the served signature into what the network takes. Does not belong here: writing and checking files
(export), choosing the best titles (a graph that sorts the catalogue would be slower than who asks it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.sequence.net import SequenceNet

SECONDS_PER_DAY = 86_400.0


class Ranker(nn.Module):
    """History in, scores of the catalogue and the viewer's vector out."""

    table: Tensor

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("table", (net.table().detach().T * net.scale).contiguous())

    def forward(self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Scores ``[B, N+1]`` and the vector ``[B, d]`` whose dot products with the scaled titles they are.

        Args:
            items: int64 ``[B, T]``, newest at the right, 0 at the left where there is no title.
            values: float32 ``[B, T]``, taken and not used.
            ages_days: float32 ``[B, T]``, age of each event at the time of the request.
            context: float32 ``[B, F]``, taken and not used.
        """
        unused = (values.sum() + context.sum()) * 0.0
        viewer = self.net.newest(items, self._times(items, ages_days)) + unused
        return viewer @ self.table, viewer

    def _times(self, items: Tensor, ages_days: Tensor) -> Tensor | None:
        if not self.net.config.has_time:
            return None
        before = -ages_days.to(torch.float64) * SECONDS_PER_DAY
        oldest = before.amin(dim=1, keepdim=True)
        return torch.cat([torch.where(items > 0, before, oldest), torch.zeros_like(oldest)], dim=1)
