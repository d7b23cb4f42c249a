"""From where the next title lies to scores: what every head of the network offers, and the plain one, a dot product.

Belongs here: the interface, the dot product. Does not belong here: the mixture of logits (net_mixture), softmax losses
(net_losses, net_mixture_loss).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from training.sequence.config import SequenceConfig
from training.sequence.net_losses import cross_entropy

Prepared = tuple[Tensor, ...]
"""What a head makes of the catalogue once, for all viewers."""


class Head(nn.Module, ABC):
    """How like a viewer and a title are."""

    pairs = 1
    """Numbers that are held for each viewer and title while they are scored."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.scale, self.is_normalised = config.scale, config.is_normalised

    @abstractmethod
    def prepared(self, table: Tensor) -> Prepared:
        """What scoring needs of the titles' embeddings ``[N, d]``; titles are the last dimension of each."""

    @abstractmethod
    def scores(self, viewers: Tensor, prepared: Prepared) -> Tensor:
        """Scores ``[n, N]`` for viewers ``[n, d]``."""

    @abstractmethod
    def lost(self, viewer: Tensor, without: Tensor, prepared: Prepared, titles: Tensor) -> Tensor:
        """How much lower titles ``[B, K]`` score for variants ``[B, T, d]`` of each viewer ``[B, d]``: ``[B, T, K]``."""

    @abstractmethod
    def loss(
        self,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        *,
        logits_mb: int,
        shift: Tensor | None = None,
        seen: Tensor | None = None,
        is_half: bool = False,
    ) -> Tensor:
        """Sum of the cross entropies of all rows; see :func:`training.sequence.net_losses.cross_entropy`.

        Args:
            hidden: ``[n, d]``.
            table: ``[C, d]``; row 0 is the padding.
            targets: int64 ``[n]``; rows with 0 do not count.
            logits_mb: Largest block of logits, in MiB.
            shift: ``[C]``, added to each row's logits.
            seen: int64 ``[n, S]``: titles that a row leaves out, filled up with 0.
            is_half: Multiply in bfloat16.
        """


class DotHead(Head):
    """One dot product, times the scale."""

    def prepared(self, table: Tensor) -> Prepared:
        """``[d, N]``."""
        return (table.T.contiguous() * self.scale,)

    def scores(self, viewers: Tensor, prepared: Prepared) -> Tensor:
        """One product."""
        return viewers @ prepared[0]

    def lost(self, viewer: Tensor, without: Tensor, prepared: Prepared, titles: Tensor) -> Tensor:
        """Of the difference, which is as linear as the score."""
        return (viewer[:, None] - without) @ prepared[0][:, titles].permute(1, 0, 2)

    def loss(
        self,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        *,
        logits_mb: int,
        shift: Tensor | None = None,
        seen: Tensor | None = None,
        is_half: bool = False,
    ) -> Tensor:
        """In blocks that are forgotten."""
        return cross_entropy(
            hidden,
            table,
            targets,
            scale=self.scale,
            is_bounded=self.is_normalised,
            logits_mb=logits_mb,
            shift=shift,
            seen=seen,
            is_half=is_half,
        )
