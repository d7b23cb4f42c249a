"""The hybrid as one graph with the inputs and outputs of training.bundle_format.

Belongs here: the torch module that is exported, and what it is made from. Does not belong here: writing and checking the file
(training.export), learning (training.hybrid.ranker).

A score is a sum over parts, and a part a sum over watched titles, so contributions are exact for every part that is taken as
it is. Of a part that is taken by its logarithm ``f``, each title gets its share of ``f(part) - f(0)``: for a function of a sum
that is the Aumann-Shapley value, and the contributions still add up to the score, less what no watched title moves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from training.dataset import Floats
from training.evaluation import Scorer
from training.export import scorer_of
from training.floor_models import packed
from training.floors import Fitted
from training.hybrid.features import FLAT_BELOW, NOTHING
from training.hybrid.ranker import FURTHEST
from training.recommender import Neural

if TYPE_CHECKING:
    from training.hybrid.fitted import FittedHybrid

TINY = 1e-30


class Source(nn.Module, ABC):
    """One table (or product of thin matrices) and the parts that ask it; ``asked`` gives weights ``[B, L, P]``."""

    def __init__(self, static: Floats) -> None:
        super().__init__()
        self.register_buffer("static", torch.from_numpy(np.ascontiguousarray(static, dtype=np.float32)))
        self.static: Tensor

    @abstractmethod
    def asked(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """How much each watched title counts in each part."""

    @abstractmethod
    def parts(self, items: Tensor, weights: Tensor) -> Tensor:
        """Scores ``[B, P, N+1]``."""

    @abstractmethod
    def contributions(self, items: Tensor, weights: Tensor, factor: Tensor) -> Tensor:
        """``[B, L, N+1]``, each part times ``factor`` ``[B, P, N+1]``."""


class Asking(Source):
    """Parts that weigh titles by place and popularity only: ``decay ** steps * source(title)``."""

    def __init__(self, fitted: list[Fitted], length: int) -> None:
        super().__init__(np.stack([part.static for part in fitted]))
        steps = np.arange(length - 1, -1, -1)
        decays = np.stack([(part.decay**steps) * (steps < part.last) for part in fitted], axis=1)
        self.register_buffer("decays", torch.from_numpy(decays.astype(np.float32)))
        self.register_buffer("source", torch.from_numpy(np.stack([part.source for part in fitted], axis=1)))
        self.decays: Tensor
        self.source: Tensor

    def asked(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Weights of the entries."""
        items = inputs[0]
        return self.source[items] * self.decays * (items > 0)[..., None]


class Nothing(Asking):
    """Parts without a table: popularity."""

    def parts(self, items: Tensor, weights: Tensor) -> Tensor:  # noqa: ARG002 (as every source)
        """The same for everybody."""
        return self.static[None].repeat(items.shape[0], 1, 1)

    def contributions(self, items: Tensor, weights: Tensor, factor: Tensor) -> Tensor:  # noqa: ARG002
        """None."""
        return torch.zeros(items.shape[0], items.shape[1], self.static.shape[1])


class Table(Asking):
    """Parts over one packed table."""

    def __init__(self, fitted: list[Fitted], length: int) -> None:
        super().__init__(fitted, length)
        index, near = packed(fitted[0], len(fitted[0].source))
        self.register_buffer("index", torch.from_numpy(index))
        self.register_buffer("near", torch.from_numpy(near[:, 0]))
        self.index: Tensor
        self.near: Tensor

    def parts(self, items: Tensor, weights: Tensor) -> Tensor:
        """Rows gathered and scattered into the catalogue."""
        added = weights.permute(0, 2, 1)[..., None] * self.near[items][:, None]
        columns = self.index[items].to(torch.int64)[:, None].expand_as(added)
        return self.static[None].repeat(items.shape[0], 1, 1).scatter_add(2, columns.flatten(2), added.flatten(2))

    def contributions(self, items: Tensor, weights: Tensor, factor: Tensor) -> Tensor:
        """Every row by itself."""
        columns = self.index[items].to(torch.int64)
        flat = columns.flatten(1)[:, None].expand(-1, factor.shape[1], -1)
        near_factor = factor.gather(2, flat).reshape(*factor.shape[:2], *columns.shape[1:])
        added = (weights.permute(0, 2, 1)[..., None] * near_factor).sum(dim=1) * self.near[items]
        return torch.zeros(items.shape[0], items.shape[1], self.static.shape[1]).scatter_add(2, columns, added)


class Product(Asking):
    """One part over a product of two thin matrices."""

    def __init__(self, fitted: list[Fitted], length: int) -> None:
        super().__init__(fitted, length)
        ease = fitted[0].ease
        assert ease is not None and ease.right is not None  # noqa: S101,PT018 (made so by training.hybrid.parts)
        self.register_buffer("left", torch.from_numpy(np.ascontiguousarray(ease.left)))
        self.register_buffer("right", torch.from_numpy(ease.right.toarray().astype(np.float32)))
        self.left: Tensor
        self.right: Tensor

    def parts(self, items: Tensor, weights: Tensor) -> Tensor:
        """One product."""
        return (weights.permute(0, 2, 1) @ self.left[items]) @ self.right

    def contributions(self, items: Tensor, weights: Tensor, factor: Tensor) -> Tensor:
        """One product for each watched title."""
        return weights * (self.left[items] @ self.right) * factor


class Mixture(Source):
    """The attention mixture: its own weigher over its own tables, of the newest titles."""

    def __init__(self, neural: Neural, length: int) -> None:
        inner = scorer_of(neural, length)
        super().__init__(inner.static.numpy()[None])
        self.weigher, self.newest = inner.weigher, neural.weigher.steps.shape[0]
        self.register_buffer("index", inner.index)
        self.register_buffer("near", inner.near.float())
        self.index: Tensor
        self.near: Tensor

    def asked(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Weights of entries and channels."""
        items, values, ages, context = inputs
        start = items.shape[1] - self.newest
        return torch.as_tensor(self.weigher(items[:, start:], values[:, start:], ages[:, start:], context))

    def _added(self, items: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        newest = items[:, items.shape[1] - self.newest :]
        return self.index[newest].to(torch.int64), (weights[..., None] * self.near[newest]).sum(dim=2)

    def parts(self, items: Tensor, weights: Tensor) -> Tensor:
        """All channels together are one part."""
        columns, added = self._added(items, weights)
        start = self.static.repeat(items.shape[0], 1)
        return start.scatter_add(1, columns.flatten(1), added.flatten(1))[:, None]

    def contributions(self, items: Tensor, weights: Tensor, factor: Tensor) -> Tensor:
        """Of the newest titles; older ones have none."""
        columns, added = self._added(items, weights)
        near_factor = factor[:, 0].gather(1, columns.flatten(1)).reshape(columns.shape)
        size = self.static.shape[1]
        newest = torch.zeros(items.shape[0], self.newest, size).scatter_add(2, columns, added * near_factor)
        return torch.cat([torch.zeros(items.shape[0], items.shape[1] - self.newest, size), newest], dim=1)


class HybridGraph(nn.Module):
    """``scores`` and ``contributions``."""

    def __init__(self, hybrid: FittedHybrid) -> None:
        super().__init__()
        groups = grouped(hybrid)
        names = [name for group, _ in groups for name in group]
        place = [list(hybrid.parts).index(name) for name in names]
        weights = hybrid.weights
        self.sources = nn.ModuleList(source for _, source in groups)
        self.length = weights.length
        given = np.stack([weights.plain, weights.by_length, weights.by_known])[:, place]
        self.register_buffer("given", torch.from_numpy(given))
        self.register_buffer("title", torch.from_numpy(weights.title_gate(hybrid.popularity)))
        self.register_buffer("is_bent", torch.tensor([hybrid.is_bent[at] for at in place]))
        self.given: Tensor
        self.title: Tensor
        self.is_bent: Tensor

    def forward(self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """See training.bundle_format."""
        inputs = (items, values, ages_days, context)
        asked = [source.asked(inputs) for source in self.sources]  # type: ignore[operator]
        found = [source.parts(items, w) for source, w in zip(self.sources, asked, strict=True)]  # type: ignore[operator]
        raw = torch.cat(found, dim=1)
        unseen = torch.ones_like(raw[:, 0]).scatter(1, items, 0.0)
        unseen = unseen * (torch.arange(raw.shape[2]) > 0)
        count = unseen.sum(dim=1, keepdim=True).clamp(min=1.0)
        value, share = self._bent(raw, unseen[:, None], count[:, None])
        mean = (value * unseen[:, None]).sum(dim=2, keepdim=True) / count[:, None]
        centred = (value - mean) * unseen[:, None]
        spread = ((centred**2).sum(dim=2, keepdim=True) / count[:, None]).sqrt()
        scale = torch.where(spread > NOTHING * mean.abs(), 1.0 / spread.clamp(min=TINY), torch.zeros_like(spread))
        factor = self._counts(items)[..., None] + self.given[2][None, :, None] * self.title
        factor = factor * scale * unseen[:, None]
        scores = (factor * centred).sum(dim=1) + (values.sum() + ages_days.sum() + context.sum()) * 0.0
        parts = torch.split(factor * share, [part.shape[1] for part in found], dim=1)
        contributions = torch.zeros(items.shape[0], items.shape[1], raw.shape[2])
        for source, weights, part in zip(self.sources, asked, parts, strict=True):
            contributions = contributions + source.contributions(items, weights, part)  # type: ignore[operator]
        return scores, contributions

    def _bent(self, raw: Tensor, unseen: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Parts with logarithms taken where they are, and how much of that belongs to one unit of the part."""
        mean = (raw * unseen).sum(dim=2, keepdim=True) / count
        ratio = torch.where(mean > 0, raw.clamp(min=0.0) / mean.clamp(min=TINY), torch.zeros_like(raw))
        bent = torch.log(ratio + FLAT_BELOW)
        share = torch.where(raw > 0, (bent - float(np.log(FLAT_BELOW))) / raw.clamp(min=TINY), torch.zeros_like(raw))
        is_bent = self.is_bent[None, :, None]
        return torch.where(is_bent, bent, raw), torch.where(is_bent, share, torch.ones_like(raw))

    def _counts(self, items: Tensor) -> Tensor:
        watched = torch.log1p((items > 0).sum(dim=1, keepdim=True).to(torch.float32))
        gate = ((watched - self.length[0]) / self.length[1]).clamp(-FURTHEST, FURTHEST)
        return self.given[0][None] + gate * self.given[1][None]


def grouped(hybrid: FittedHybrid) -> list[tuple[list[str], Source]]:
    """Parts that share a table go together."""
    tables: dict[int, list[str]] = {}
    for name, part in hybrid.parts.items():
        key = id(part.table) if isinstance(part, Fitted) and part.table is not None else id(part)
        tables.setdefault(key, []).append(name)
    return [
        (names, _source([hybrid.parts[name] for name in names], hybrid.history_length)) for names in tables.values()
    ]


def _source(parts: list[Scorer], length: int) -> Source:
    neural = [part for part in parts if isinstance(part, Neural)]
    if neural:
        return Mixture(neural[0], length)
    fitted = [part for part in parts if isinstance(part, Fitted)]
    if fitted[0].table is not None:
        return Table(fitted, length)
    return Nothing(fitted, length) if fitted[0].ease is None else Product(fitted, length)
