"""A score that is a thin product, as a graph: ``static(j) + sum over watched titles i of weight_i * left_i . right_j``.

Belongs here: the torch module. Does not belong here: what left and right are (training.content), writing the file.
"""

from __future__ import annotations

from torch import Tensor, nn


class ThinScorer(nn.Module):
    """The exported graph; contributions are exact."""

    left: Tensor
    right: Tensor
    static: Tensor

    def __init__(self, weigher: nn.Module, left: Tensor, right: Tensor, static: Tensor) -> None:
        super().__init__()
        self.weigher = weigher
        self.register_buffer("left", left)
        self.register_buffer("right", right)
        self.register_buffer("static", static)

    def forward(
        self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor, titles: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``scores`` and ``contributions`` to the asked titles (see training.bundle_format)."""
        asked = self.weigher(items, values, ages_days, context) * self.left[items]
        scores = self.static[None] + asked.sum(dim=1) @ self.right.transpose(0, 1)
        moved = asked @ self.right[titles].transpose(1, 2)
        return scores, moved * (titles > 0)[:, None]
