"""The blocks of the sequence network, all pre-norm and causal: LiGR, HSTU, SASRec.

Belongs here: one block of each kind, attention, its relative bias. Does not belong here: embeddings and scores (net).

* ``ligr``: what attention and feed-forward (SwiGLU) add passes a sigmoid gate of the stream (Borisyuk et al. 2025, LiGR;
  eSASRec 2025 uses the same layer). Gates keep deep stacks trainable.
* ``hstu``: one pointwise (SiLU, not softmax) attention whose result is normalised and gated (Zhai et al. 2024).
* ``sasrec``: the plain pre-norm transformer (Kang and McAuley 2018, with GELU).

Every block takes the stream ``[B, T, d]`` and a :class:`Scene`; with ``newest_only`` it returns ``[B, 1, d]``, the last place alone:
all that ranking needs from the last block. ``without`` takes variants of the last place (training.sequence.net_cuts) through the
same block, beside the full run's stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.sequence.config import SequenceConfig
from training.sequence.net_cuts import Cut, likeness, mixture

GAP_BUCKETS = 64


@dataclass(frozen=True, slots=True)
class Scene:
    """Who may see whom, how far apart, how long before.

    Attributes:
        visible: bool ``[1 or B, 1, T, T]``; None: everything up to and including oneself.
        gaps: Bucket of the time between each event (column) and the request after each place (row), ``[B, T, T]``; None:
            not known.

    Where only the last place asks, the last row of both is enough.
    """

    visible: Tensor | None = None
    gaps: Tensor | None = None


class RelativeBias(nn.Module):
    """What distance in steps and in time adds to attention, by head; starts at nothing."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.steps = (
            nn.Parameter(torch.zeros(config.heads, config.length)) if config.position in ("relative", "both") else None
        )
        self.time = nn.Parameter(torch.zeros(GAP_BUCKETS, config.heads)) if config.has_time else None

    def forward(self, length: int, scene: Scene, asking: int) -> Tensor | None:
        """Sum of both biases for the last ``A`` places, ``[1 or B, H, A, T]``; None where there is none."""
        bias: Tensor | None = None
        if self.steps is not None:
            place = torch.arange(length, device=self.steps.device)
            distance = (place[length - asking :, None] - place[None]).clamp(0, self.steps.shape[1] - 1)
            bias = self.steps[:, distance][None]
        if self.time is not None and scene.gaps is not None:
            timed = self.time[scene.gaps[:, -asking:]].permute(0, 3, 1, 2)
            bias = timed if bias is None else bias + timed
        return bias

    def of_cut(self, cut: Cut) -> Tensor | None:
        """The same for variants of the last place, ``[1 or B, H, T, T+1]``."""
        bias: Tensor | None = None
        if self.steps is not None:
            bias = self.steps[:, cut.distance().clamp(0, self.steps.shape[1] - 1)][None]
        if self.time is not None and cut.gaps is not None:
            seen = self.time[cut.gaps].transpose(1, 2)
            timed = torch.cat([seen[:, :, None].expand(-1, -1, cut.at.shape[0], -1), seen[:, :, cut.at, None]], dim=3)
            bias = timed if bias is None else bias + timed
        return bias


def causal(length: int, device: torch.device) -> Tensor:
    """Bool ``[1, 1, T, T]``: column not after row."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]


class Attention(nn.Module):
    """Softmax attention over what is visible."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key_value = nn.Linear(config.width, 2 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.bias = RelativeBias(config)

    def forward(self, stream: Tensor, scene: Scene, *, newest_only: bool = False) -> Tensor:
        """Mixed values, ``[B, T or 1, d]``."""
        batch, length, width = stream.shape
        asking = stream[:, -1:] if newest_only else stream
        query = self._split(self.query(asking))
        key, value = self._split(self.key_value(stream)).chunk(2, dim=-1)
        bias = self.bias(length, scene, asking.shape[1])
        is_plain = bias is None and scene.visible is None and not newest_only
        if is_plain and stream.device.type != "cpu":
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            mask = _mask(bias, scene, length, query)
            mixed = written_out(query, key, value, mask)
        return self.out(mixed.transpose(1, 2).reshape(batch, asking.shape[1], width))

    def without(self, stream: Tensor, others: Tensor, cut: Cut) -> Tensor:
        """Mixed values of variants ``others`` ``[B, T, d]`` of the last place of ``stream``."""
        key, value = self._split(self.key_value(stream)).chunk(2, dim=-1)
        own_key, own_value = self._split(self.key_value(others)).chunk(2, dim=-1)
        query = self._split(self.query(others))
        weight = likeness(query, key, own_key) * (1.0 / math.sqrt(query.shape[-1]))
        bias = self.bias.of_cut(cut)
        weight = weight if bias is None else weight + bias.to(weight.dtype)
        weight = torch.softmax(weight.masked_fill(~cut.visible, float("-inf")), dim=-1)
        return self.out(mixture(weight, value, own_value).transpose(1, 2).reshape(others.shape))

    def _split(self, rows: Tensor) -> Tensor:
        batch, length, width = rows.shape
        return rows.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)


def written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention in plain products: on a CPU several times quicker forward and back than the fused kernels at these sizes."""
    weight = query @ key.transpose(-1, -2) * (1.0 / math.sqrt(query.shape[-1])) + mask
    return torch.softmax(weight, dim=-1) @ value


def _mask(bias: Tensor | None, scene: Scene, length: int, like: Tensor) -> Tensor:
    """Additive mask of the places that ask (``like``), ``[., ., A, T]``: the bias where visible, else minus infinity."""
    visible = causal(length, like.device) if scene.visible is None else scene.visible
    visible = visible[:, :, -like.shape[2] :]
    if bias is None:
        bias = torch.zeros((), dtype=like.dtype, device=like.device)
    return torch.where(visible, bias.to(like.dtype), float("-inf"))


class LigrBlock(nn.Module):
    """Gated residuals around attention and SwiGLU."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        width, hidden = config.width, round(config.width * config.expansion)
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(config)
        self.attention_gate = nn.Linear(width, width)
        self.before_hidden = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.hidden_gate = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, stream: Tensor, scene: Scene, *, newest_only: bool = False) -> Tensor:
        """The stream after this block."""
        added = self.attention(self.before_attention(stream), scene, newest_only=newest_only)
        return self._after(stream[:, -1:] if newest_only else stream, added)

    def without(self, stream: Tensor, others: Tensor, cut: Cut) -> Tensor:
        """Variants of the last place after this block; ``stream`` is the full run's before it."""
        return self._after(
            others, self.attention.without(self.before_attention(stream), self.before_attention(others), cut)
        )

    def _after(self, stream: Tensor, added: Tensor) -> Tensor:
        stream = stream + torch.sigmoid(self.attention_gate(stream)) * self.dropout(added)
        gate, hidden = self.up(self.before_hidden(stream)).chunk(2, dim=-1)
        added = self.down(F.silu(gate) * hidden)
        return stream + torch.sigmoid(self.hidden_gate(stream)) * self.dropout(added)


class SasrecBlock(nn.Module):
    """Plain residuals around attention and one GELU layer."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        width, hidden = config.width, round(config.width * config.expansion)
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(config)
        self.before_hidden = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, stream: Tensor, scene: Scene, *, newest_only: bool = False) -> Tensor:
        """The stream after this block."""
        added = self.attention(self.before_attention(stream), scene, newest_only=newest_only)
        return self._after(stream[:, -1:] if newest_only else stream, added)

    def without(self, stream: Tensor, others: Tensor, cut: Cut) -> Tensor:
        """Variants of the last place after this block; ``stream`` is the full run's before it."""
        return self._after(
            others, self.attention.without(self.before_attention(stream), self.before_attention(others), cut)
        )

    def _after(self, stream: Tensor, added: Tensor) -> Tensor:
        stream = stream + self.dropout(added)
        return stream + self.dropout(self.down(F.gelu(self.up(self.before_hidden(stream)))))


class HstuBlock(nn.Module):
    """Pointwise attention, normalised and gated by the stream."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.heads, self.scale = config.heads, 1.0 / math.sqrt(config.width // config.heads)
        self.longest = config.length
        self.before = nn.LayerNorm(config.width)
        self.key_value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.query_gate = nn.Linear(config.width, 2 * config.width, bias=False)
        self.after = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.bias = RelativeBias(config)

    def forward(self, stream: Tensor, scene: Scene, *, newest_only: bool = False) -> Tensor:
        """The stream after this block."""
        batch, length, width = stream.shape
        normed = self.before(stream)
        asking = normed[:, -1:] if newest_only else normed
        stream = stream[:, -1:] if newest_only else stream
        key, value = F.silu(self.key_value(normed)).chunk(2, dim=-1)
        query, gate = F.silu(self.query_gate(asking)).chunk(2, dim=-1)
        query, key, value = (self._split(part) for part in (query, key, value))
        weight = (query @ key.transpose(-1, -2)) * self.scale
        bias = self.bias(length, scene, query.shape[2])
        if bias is not None:
            weight = weight + bias.to(weight.dtype)
        visible = causal(length, stream.device) if scene.visible is None else scene.visible
        weight = F.silu(weight) * visible[:, :, -query.shape[2] :] / self.longest
        mixed = (weight @ value).transpose(1, 2).reshape(batch, -1, width)
        return stream + self.out(self.dropout(self.after(mixed) * gate))

    def without(self, stream: Tensor, others: Tensor, cut: Cut) -> Tensor:
        """Variants of the last place after this block; ``stream`` is the full run's before it."""
        asking = self.before(others)
        key, value = map(self._split, F.silu(self.key_value(self.before(stream))).chunk(2, dim=-1))
        own_key, own_value = map(self._split, F.silu(self.key_value(asking)).chunk(2, dim=-1))
        query, gate = F.silu(self.query_gate(asking)).chunk(2, dim=-1)
        weight = likeness(self._split(query), key, own_key) * self.scale
        bias = self.bias.of_cut(cut)
        weight = F.silu(weight if bias is None else weight + bias.to(weight.dtype)) * cut.visible / self.longest
        mixed = mixture(weight, value, own_value).transpose(1, 2).reshape(others.shape)
        return others + self.out(self.dropout(self.after(mixed) * gate))

    def _split(self, rows: Tensor) -> Tensor:
        batch, length, width = rows.shape
        return rows.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)


BLOCKS: dict[str, type[nn.Module]] = {"ligr": LigrBlock, "hstu": HstuBlock, "sasrec": SasrecBlock}
