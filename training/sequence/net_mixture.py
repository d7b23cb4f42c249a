"""A mixture of logits: several vectors on either side, the cosine of every pair, gates that say how much each pair counts.

Belongs here: vectors, gates, scores. Does not belong here: the dot product (net_heads), the loss in blocks (net_mixture_loss).

Zhai et al. 2023 ("Revisiting Neural Retrieval on Accelerators", KDD) and Ding and Zhai 2024 ("Retrieval with Learned
Similarities"): a dot product of width d is a matrix of rank d, a mixture is not bound to that. With ``P_u`` vectors of the viewer,
``P_x`` of the title and ``P`` pairs::

    score(u, x) = scale * sum_p softmax_p(a_p(u) * b_p(x) + scale * (W cosines(u, x))_p) * cosines_p(u, x)

``a`` and ``b`` are small networks of one side each; what a pair tells about its own gates is linear (``W``, ``P x P``), where the papers
have a hidden layer: it is the only part that is computed for every viewer and title. All that depends on titles alone is made
once (:meth:`MixtureHead.prepared`). A title of zeros, which no training has met, has cosines of 0 and so a score of 0, as
under the dot product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.sequence.config import MixtureConfig, SequenceConfig
from training.sequence.net_heads import Head, Prepared
from training.sequence.net_mixture_loss import mixture_cross_entropy

APART = 0.5
"""How far the vectors of one side are from each other at first, of the spread of a random projection."""


class MixtureHead(Head):
    """Learned similarity of viewers and titles; it begins near the dot product."""

    def __init__(self, config: SequenceConfig, values: MixtureConfig) -> None:
        super().__init__(config)
        width, self.counts = config.width, (values.viewer_parts, values.title_parts)
        self.pairs = values.viewer_parts * values.title_parts
        common = _projection(width, values.part_width or width)
        self.of_viewer, self.of_title = (nn.Parameter(_near(common, count)) for count in self.counts)
        self.viewer_gate, self.title_gate = (Gate(width, values, self.pairs) for _ in self.counts)
        self.pair_gate = nn.Parameter(torch.eye(self.pairs) / self.scale)

    def prepared(self, table: Tensor) -> Prepared:
        """Vectors ``[P_x, w, N]`` and gates ``[P, N]``."""
        return _parts(table, self.of_title).transpose(1, 2).contiguous(), self.title_gate(table)

    def scores(self, viewers: Tensor, prepared: Prepared) -> Tensor:
        """``[n, N]``."""
        parts, of_titles = prepared
        flat = _parts(viewers, self.of_viewer).flatten(0, 1)
        cosines = (flat @ parts).reshape(self.pairs, viewers.shape[0], parts.shape[2])
        return self._mixed(cosines, self.viewer_gate(viewers), of_titles)

    def lost(self, viewer: Tensor, without: Tensor, prepared: Prepared, titles: Tensor) -> Tensor:
        """Every variant scored: a mixture is not linear in the viewer."""
        viewers = torch.cat([viewer[:, None], without], dim=1)
        parts, of_titles = prepared[0][..., titles].transpose(1, 2), prepared[1][:, titles]
        cosines = (_parts(viewers, self.of_viewer)[None] @ parts[:, None]).flatten(0, 1)
        found = self._mixed(cosines, self.viewer_gate(viewers), of_titles)
        return found[:, :1] - found[:, 1:]

    def gates(self, cosines: Tensor, of_viewers: Tensor, of_titles: Tensor) -> Tensor:
        """How much each pair counts; they sum to 1 over the first dimension.

        Args:
            cosines: ``[P, ..., n, N]``.
            of_viewers: ``[P, ..., n]``.
            of_titles: ``[P, ..., N]``.
        """
        pair = (self.pair_gate * self.scale @ cosines.flatten(1)).reshape(cosines.shape)
        return torch.softmax(pair + of_viewers[..., None] * of_titles[..., None, :], dim=0)

    def loss(
        self,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        *,
        logits_mb: int,
        shift: Tensor | None = None,
        seen: Tensor | None = None,
        is_half: bool = False,  # noqa: ARG002 (products follow training.sequence.devices.rounding)
    ) -> Tensor:
        """In blocks that are forgotten."""
        is_event = targets > 0
        hidden = hidden[is_event]
        return mixture_cross_entropy(
            _parts(hidden, self.of_viewer),
            self.viewer_gate(hidden),
            _parts(table, self.of_title),
            self.title_gate(table),
            self.pair_gate * self.scale,
            targets[is_event],
            scale=self.scale,
            logits_mb=logits_mb,
            shift=shift,
            seen=None if seen is None else seen[is_event],
        )

    def _mixed(self, cosines: Tensor, of_viewers: Tensor, of_titles: Tensor) -> Tensor:
        return (self.gates(cosines, of_viewers, of_titles) * cosines).sum(dim=0) * self.scale


class Gate(nn.Module):
    """What one side says about the gates of all pairs."""

    def __init__(self, width: int, values: MixtureConfig, pairs: int) -> None:
        super().__init__()
        self.spread = width**0.5
        self.up = nn.Linear(width, values.gate_width)
        self.dropout = nn.Dropout(values.gate_dropout)
        self.down = nn.Linear(values.gate_width, pairs)

    def forward(self, rows: Tensor) -> Tensor:
        """``[P, ...]`` for rows ``[..., d]`` of length 1."""
        return self.down(self.dropout(F.silu(self.up(rows * self.spread)))).movedim(-1, 0)


def _parts(rows: Tensor, projections: Tensor) -> Tensor:
    """Vectors of length 1, ``[P, ..., w]``, of rows ``[..., d]`` by projections ``[P, d, w]``; zeros stay zeros."""
    count, width, part = projections.shape
    found = rows @ projections.transpose(0, 1).reshape(width, count * part)
    return F.normalize(found.reshape(*rows.shape[:-1], count, part).movedim(-2, 0), dim=-1)


def _projection(width: int, part: int) -> Tensor:
    """What keeps cosines: the whole vector where there is room for it, else as many random directions of it."""
    if width == part:
        return torch.eye(width)
    return nn.init.orthogonal_(torch.empty(width, part))


def _near(common: Tensor, count: int) -> Tensor:
    """Projections ``[count, d, w]`` that differ a little; a single one is the common one."""
    apart = torch.randn(count, *common.shape) * (APART / common.shape[0] ** 0.5)
    return common + apart * (count > 1)
