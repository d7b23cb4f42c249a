"""The network: self-attention over the history decides how much each entry's neighbour tables count.

Belongs here: the weigher (history -> one weight per entry and channel) and the additive scorer around it.
Does not belong here: the loss and the optimiser (module), the tables (training.neighbours).

``score(j) = exp(b) * prior(j) + sum over entries h, channels c of a[h, c] * table_c[h, j]`` with ``a > 0``: up to scale, a mixture
of probabilities. It is additive in the history, so what a title contributed to a score is exact, not an estimate.
``log a`` is a sum of global terms (channel, position, popularity of the title, rating) and of what the encoder adds, which
starts at exactly 0: an untrained model is a blend of counts with decay, a floor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.config import RecommenderConfig
from training.models.asked import of_titles
from training.neighbours import CHANNELS

START = {
    "next_3": 1.0,
    "next_10": 0.0,
    "next_30": -1.0,
    "previous_10": -1.0,
    "ease": -0.5,
    "together": -1.0,
    "content": -3.0,
}
TOKEN_FEATURES = 6
MINUTES_PER_DAY = 1440.0


class Block(nn.Module):
    """One pre-norm encoder layer, written out so that every operation exports plainly."""

    def __init__(self, dimension: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(dimension)
        self.qkv = nn.Linear(dimension, 3 * dimension)
        self.out = nn.Linear(dimension, dimension)
        self.after = nn.LayerNorm(dimension)
        self.up = nn.Linear(dimension, 2 * dimension)
        self.down = nn.Linear(2 * dimension, dimension)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Attend to every token whose mask entry (``[B, 1, 1, T]``) is 0 and not hugely negative."""
        batch, length, dimension = tokens.shape
        qkv = self.qkv(self.before(tokens)).reshape(batch, length, 3, self.heads, dimension // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weight = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(dimension / self.heads) + mask, dim=-1)
        mixed = (self.dropout(weight) @ value).transpose(1, 2).reshape(batch, length, dimension)
        tokens = tokens + self.dropout(self.out(mixed))
        return tokens + self.dropout(self.down(F.gelu(self.up(self.after(tokens)))))


class AttentionWeigher(nn.Module):
    """History -> ``a`` ``[B, L, C]``: how much each entry's row of each table counts; 0 for padding."""

    log_popularity: Tensor
    factors: Tensor
    steps: Tensor

    def __init__(self, popularity: Tensor, factors: Tensor, context_features: int, config: RecommenderConfig) -> None:
        super().__init__()
        channels, dimension, length = len(CHANNELS), config.dimension, config.history_length
        self.register_buffer("log_popularity", torch.log(popularity.clamp(min=1.0)))
        self.register_buffer("factors", factors)
        self.register_buffer("steps", torch.arange(length - 1, -1, -1, dtype=torch.float32))
        self.channel = nn.Parameter(torch.tensor([START[name] for name in CHANNELS]))
        self.decay = nn.Parameter(torch.full((channels,), -0.2))
        self.position = nn.Parameter(torch.zeros(length, channels))
        self.known = nn.Parameter(torch.full((channels,), 0.5))
        self.rating = nn.Parameter(torch.zeros(channels))
        self.prior = nn.Parameter(torch.tensor(-1.0))
        self.of_factors = nn.Linear(factors.shape[1], dimension)
        self.of_features = nn.Linear(TOKEN_FEATURES, dimension)
        self.of_context = nn.Linear(context_features, dimension)
        self.of_position = nn.Parameter(torch.randn(length + 1, dimension) * 0.02)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(dimension, config.heads, config.dropout) for _ in range(config.layers))
        self.max_change = config.max_change
        self.has_encoder = True
        self.last = nn.Linear(dimension, channels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def global_parameters(self) -> list[nn.Parameter]:
        """The few parameters that do not look at the rest of the history."""
        return [self.channel, self.decay, self.position, self.known, self.rating, self.prior]

    def static_weight(self) -> Tensor:
        """How much the prior counts."""
        return torch.exp(self.prior)

    def forward(self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor) -> Tensor:
        """Weights of every entry and channel."""
        is_title = (items > 0).float()
        popularity = self.log_popularity[items]
        shared = (
            self.channel
            + self.decay * self.steps[:, None]
            + self.position
            + self.known * (popularity[..., None] - 3.0)
            + self.rating * (values[..., None] - 0.7) * (values[..., None] > 0)
        )
        if self.has_encoder:
            shared = shared + self._attend(items, is_title, popularity, values, ages_days, context)
        return torch.exp(torch.clamp(shared, -20.0, 10.0)) * is_title[..., None]

    def _attend(
        self, items: Tensor, is_title: Tensor, popularity: Tensor, values: Tensor, ages_days: Tensor, context: Tensor
    ) -> Tensor:
        age = torch.log1p(torch.clamp(ages_days - ages_days[:, -1:], min=0.0) * MINUTES_PER_DAY) / 10.0
        gap = torch.cat([torch.zeros_like(age[:, :1]), age[:, :-1] - age[:, 1:]], dim=1)
        length = is_title.mean(dim=1, keepdim=True).expand_as(age)
        features = torch.stack([popularity / 5.0, values, age, (age > 0.1).float(), gap, length], dim=-1)
        titles = self.of_factors(self.factors[items]) + self.of_features(features)
        viewer = self.of_context(context)[:, None]
        tokens = self.dropout(torch.cat([viewer, titles], dim=1) + self.of_position)
        keep = torch.cat([torch.ones_like(is_title[:, :1]), is_title], dim=1)
        mask = ((keep - 1.0) * 1e4)[:, None, None]
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.max_change * torch.tanh(self.last(tokens[:, 1:]) / self.max_change)


class AdditiveScorer(nn.Module):
    """The exported graph: weights from any weigher, rows gathered from the packed tables, scattered into the catalogue."""

    index: Tensor
    near: Tensor
    static: Tensor

    def __init__(self, weigher: nn.Module, index: Tensor, near: Tensor, static: Tensor) -> None:
        super().__init__()
        self.weigher = weigher
        self.register_buffer("index", index)
        self.register_buffer("near", near)
        self.register_buffer("static", static)

    def forward(
        self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor, titles: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``scores`` and ``contributions`` to the asked titles (see training.bundle_format)."""
        weights = self.weigher(items, values, ages_days, context)
        columns = self.index[items].to(torch.int64)
        added = (weights[..., None] * self.near[items].to(torch.float32)).sum(dim=2)
        batch, length, width = columns.shape
        scores = (
            self.static[None]
            .repeat(batch, 1)
            .scatter_add(1, columns.reshape(batch, length * width), added.reshape(batch, length * width))
        )
        return scores, of_titles(columns, added, titles, self.static.shape[0])


class RecencyWeigher(nn.Module):
    """The weigher of a floor: ``decay ** steps * source(title)`` for the newest ``last`` entries; one channel."""

    source: Tensor
    steps: Tensor

    def __init__(self, source: Tensor, length: int, last: int, decay: float) -> None:
        super().__init__()
        steps = torch.arange(length - 1, -1, -1, dtype=torch.float32)
        self.register_buffer("source", source)
        self.register_buffer("steps", (decay**steps) * (steps < last))

    def forward(self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor) -> Tensor:
        """Weights; values, ages and context are taken and not used."""
        unused = (values.sum() + ages_days.sum() + context.sum()) * 0.0
        weights = self.source[items] * self.steps * (items > 0) + unused
        return weights[..., None]
