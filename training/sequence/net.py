"""The sequence network: titles in their order in, where the next one lies out.

Belongs here: embeddings, the stack of blocks, scores of the catalogue. Does not belong here: blocks (net_blocks), what a
score is (net_heads, net_mixture), losses (net_losses), batches, training.

Index 0 stands for the beginning of a history. In training windows are padded at the right, where causality keeps the
padding out of sight; for ranking they are padded at the left, the newest title always in the last place, and the padding is
masked except the place just before the first title, which is the beginning. A history that is longer than the window has
no beginning in sight.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.sequence.config import SequenceConfig
from training.sequence.net_blocks import BLOCKS, GAP_BUCKETS, Scene, causal
from training.sequence.net_heads import DotHead, Head
from training.sequence.net_mixture import MixtureHead

SPREAD = 0.02
"""Standard deviation of new weights and embeddings."""


class SequenceNet(nn.Module):
    """A causal transformer whose input and output embeddings are the same."""

    def __init__(self, size: int, config: SequenceConfig) -> None:
        super().__init__()
        self.config = config
        self.titles = nn.Embedding(size, config.width)
        is_placed = config.position in ("learned", "both")
        self.place = nn.Parameter(torch.zeros(config.length, config.width)) if is_placed else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(BLOCKS[config.block](config) for _ in range(config.layers))
        self.last = nn.LayerNorm(config.width)
        self.head: Head = DotHead(config) if config.head is None else MixtureHead(config, config.head)
        self.apply(_initialise)

    @property
    def scale(self) -> float:
        """What cosines are multiplied with; 1 for plain dot products."""
        return self.config.scale

    def table(self) -> Tensor:
        """Output embeddings ``[N+1, d]``, of length 1 when normalised."""
        weight = self.titles.weight
        return F.normalize(weight, dim=-1) if self.config.is_normalised else weight

    def forward(self, items: Tensor, times: Tensor | None = None) -> Tensor:
        """Where the title after each place lies.

        Args:
            items: ``[B, T]``, padded at the right.
            times: Seconds ``[B, T+1]``: of each event and of the request after the last; None: not known.

        Returns:
            ``[B, T, d]``, of length 1 when normalised.
        """
        gaps = None if times is None or not self.config.has_time else gap_buckets(times)
        stream = self.embedded(items, torch.arange(items.shape[1], device=items.device))
        scene = Scene(None, gaps)
        for block in self.blocks:
            stream = block(stream, scene)
        return self.finished(stream)

    def newest(self, items: Tensor, times: Tensor | None = None) -> Tensor:
        """Where the title after each history lies: ``[B, d]``; histories are padded with 0 at the left."""
        keep, place = places(items)
        stream = self.embedded(items, place)
        if len(self.blocks) > 1:
            scene = self.scene(items, keep, times)
            for block in self.blocks[:-1]:
                stream = block(stream, scene)
        for block in self.blocks[-1:]:
            stream = block(stream, self.scene_of_newest(keep, times), newest_only=True)
        return self.finished(stream[:, -1])

    def scene_of_newest(self, keep: Tensor, times: Tensor | None) -> Scene:
        """What the last place alone sees: one row instead of one for each place."""
        itself = torch.arange(keep.shape[1], device=keep.device) == keep.shape[1] - 1
        gaps = None if times is None or not self.config.has_time else gap_buckets(times, newest_only=True)
        return Scene((keep | itself)[:, None, None, :], gaps)

    def scene(self, items: Tensor, keep: Tensor, times: Tensor | None) -> Scene:
        """What is visible in histories that are padded at the left; see :func:`places` for ``keep``."""
        length = items.shape[1]
        itself = torch.eye(length, dtype=torch.bool, device=items.device)[None, None]
        visible = (causal(length, items.device) & keep[:, None, None, :]) | itself
        gaps = None if times is None or not self.config.has_time else gap_buckets(times)
        return Scene(visible, gaps)

    def scores(self, items: Tensor, times: Tensor | None = None) -> Tensor:
        """Scores of the catalogue, ``[B, N+1]``; column 0 means nothing."""
        return self.head.scores(self.newest(items, times), self.head.prepared(self.table()))

    def embedded(self, items: Tensor, place: Tensor) -> Tensor:
        """What goes into the first block, ``[B, T, d]``."""
        stream = self.titles(items)
        if self.training and self.config.item_dropout:
            stream = stream * (torch.rand(items.shape, device=items.device) >= self.config.item_dropout)[..., None]
        if self.place is not None:
            stream = stream + self.place[place]
        return self.dropout(stream)

    def finished(self, stream: Tensor) -> Tensor:
        """What comes out after the last block."""
        stream = self.last(stream)
        return F.normalize(stream, dim=-1) if self.config.is_normalised else stream


def places(items: Tensor) -> tuple[Tensor, Tensor]:
    """Of histories ``[B, T]`` that are padded at the left: which places exist (bool) and their numbers, the beginning's being 0."""
    is_title = items > 0
    next_is_title = torch.cat([is_title[:, 1:], torch.ones_like(is_title[:, :1])], dim=1)
    keep = is_title | next_is_title
    return keep, (keep.long().cumsum(dim=1) - 1).clamp(min=0)


def gap_buckets(times: Tensor, *, newest_only: bool = False) -> Tensor:
    """Logarithmic buckets of the time from each event to the request after each place.

    Args:
        times: Seconds ``[B, T+1]``, float64.
        newest_only: Of the request after the last place only.

    Returns:
        int64 ``[B, T or 1, T]``, 0 for less than a second, then three buckets per factor e.
    """
    asked = times[:, -1:] if newest_only else times[:, 1:]
    gap = (asked[:, :, None] - times[:, None, :-1]).clamp(min=0.0)
    return (torch.log1p(gap) * 3.0).long().clamp(max=GAP_BUCKETS - 1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=SPREAD)
