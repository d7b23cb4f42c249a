"""The hybrid as one graph with the inputs and outputs of training.bundle_format.

Belongs here: the torch module that is exported, and what it is made from. Does not belong here: writing and checking the file
(training.hybrid.export), learning (training.hybrid.ranker).

A score is a sum over parts. A counted part and the mixture are sums over watched titles, so what a title adds is exact where the
part is taken as it is; where its logarithm ``f`` is taken, each title gets its share of ``f(part) - f(0)``: for a function of a
sum that is the Aumann-Shapley value. Of the sequence transformers, a title's contribution is what the score loses when the
newest place may not look at it (training.sequence.net_reasons).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from training.content.export import graph as content_graph
from training.evaluation import Scorer
from training.export import scorer_of
from training.floor_models import packed
from training.floors import Fitted
from training.hybrid.features import FLAT_BELOW, NOTHING
from training.hybrid.gate import FAR, Gate
from training.models.asked import of_titles
from training.recommender import Neural
from training.sequence.net_graph import Ranker
from training.sequence.several import AverageScorer

if TYPE_CHECKING:
    from training.hybrid.fitted import FittedHybrid

TINY = 1e-30
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""``items``, ``values``, ``ages_days``, ``context``."""


class Source(nn.Module, ABC):
    """One part."""

    @abstractmethod
    def scores(self, inputs: Inputs) -> Tensor:
        """``[B, N+1]``."""

    @abstractmethod
    def moved(self, inputs: Inputs, titles: Tensor) -> Tensor:
        """What each watched title adds to the part's scores of the asked titles, ``[B, L, K]``."""


class Popularity(Source):
    """The same for everybody."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        self.register_buffer("static", torch.from_numpy(np.ascontiguousarray(fitted.static, dtype=np.float32)))
        self.static: Tensor

    def scores(self, inputs: Inputs) -> Tensor:
        """The static scores."""
        return self.static[None].repeat(inputs[0].shape[0], 1)

    def moved(self, inputs: Inputs, titles: Tensor) -> Tensor:
        """Nothing."""
        return torch.zeros(*inputs[0].shape, titles.shape[1])


class Table(Source):
    """A part that weighs titles by place and popularity, ``decay ** steps * source(title)``, and adds up their rows."""

    def __init__(self, fitted: Fitted, length: int) -> None:
        super().__init__()
        steps = np.arange(length - 1, -1, -1)
        decays = (fitted.decay**steps) * (steps < fitted.last)
        index, near = packed(fitted, len(fitted.source))
        self.size = len(fitted.source)
        self.newest = min(length, fitted.last)
        for name, array in {
            "decays": decays,
            "source": fitted.source,
            "near": near[:, 0],
            "static": fitted.static,
        }.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)))
        self.register_buffer("index", torch.from_numpy(index))
        self.decays: Tensor
        self.source: Tensor
        self.near: Tensor
        self.static: Tensor
        self.index: Tensor

    def _rows(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Titles ``[B, newest, W]`` that the newest watched ones point to, and what each adds."""
        start = items.shape[1] - self.newest
        asking = items[:, start:]
        weights = self.source[asking] * self.decays[start:] * (asking > 0)
        return self.index[asking].to(torch.int64), weights[..., None] * self.near[asking]

    def scores(self, inputs: Inputs) -> Tensor:
        """Rows gathered and scattered into the catalogue."""
        columns, added = self._rows(inputs[0])
        start = self.static[None].repeat(inputs[0].shape[0], 1)
        return start.scatter_add(1, columns.flatten(1), added.flatten(1))

    def moved(self, inputs: Inputs, titles: Tensor) -> Tensor:
        """Every row by itself; titles that are too old for the part add nothing."""
        found = of_titles(*self._rows(inputs[0]), titles, self.size)
        older = inputs[0].shape[1] - self.newest
        return torch.cat([torch.zeros(found.shape[0], older, titles.shape[1]), found], dim=1)


class Content(Source):
    """A part over a product of two thin matrices."""

    def __init__(self, fitted: Fitted, length: int) -> None:
        super().__init__()
        self.inner = content_graph(fitted, length)

    def scores(self, inputs: Inputs) -> Tensor:
        """One product."""
        return torch.as_tensor(self.inner(*inputs, torch.zeros_like(inputs[0][:, :1]))[0])

    def moved(self, inputs: Inputs, titles: Tensor) -> Tensor:
        """One product for each watched title."""
        return torch.as_tensor(self.inner(*inputs, titles)[1])


class Mixture(Source):
    """The attention mixture: its own weigher over its own tables, of the newest titles."""

    def __init__(self, neural: Neural, length: int) -> None:
        super().__init__()
        inner = scorer_of(neural, length)
        self.weigher, self.newest = inner.weigher, neural.weigher.steps.shape[0]
        self.size = inner.static.shape[0]
        self.register_buffer("static", inner.static)
        self.register_buffer("index", inner.index)
        self.register_buffer("near", inner.near.float())
        self.static: Tensor
        self.index: Tensor
        self.near: Tensor

    def _rows(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        items, values, ages, context = inputs
        start = items.shape[1] - self.newest
        newest = items[:, start:]
        weights = self.weigher(newest, values[:, start:], ages[:, start:], context)
        return self.index[newest].to(torch.int64), (weights[..., None] * self.near[newest]).sum(dim=2)

    def scores(self, inputs: Inputs) -> Tensor:
        """All channels together."""
        columns, added = self._rows(inputs)
        return self.static[None].repeat(columns.shape[0], 1).scatter_add(1, columns.flatten(1), added.flatten(1))

    def moved(self, inputs: Inputs, titles: Tensor) -> Tensor:
        """Of the newest titles; older ones add nothing."""
        found = of_titles(*self._rows(inputs), titles, self.size)
        older = inputs[0].shape[1] - self.newest
        return torch.cat([torch.zeros(found.shape[0], older, titles.shape[1]), found], dim=1)


class Sequence(Source):
    """The sequence transformers, of the newest titles: the mean of all."""

    def __init__(self, scorer: AverageScorer) -> None:
        super().__init__()
        self.nets, self.newest = nn.ModuleList(Ranker(one.net) for one in scorer.members), scorer.history_length

    @property
    def _rankers(self) -> list[Ranker]:
        return [ranker for ranker in self.nets if isinstance(ranker, Ranker)]

    def scores(self, inputs: Inputs) -> Tensor:
        """Cosines over the temperature, or a mixture of them."""
        items, ages = self._newest(inputs[0]), self._newest(inputs[2])
        return torch.stack([ranker.scores(items, ages) for ranker in self._rankers]).mean(dim=0)

    def moved(self, inputs: Inputs, titles: Tensor) -> Tensor:
        """By attention knockout."""
        items, ages = self._newest(inputs[0]), self._newest(inputs[2])
        found = [ranker.contributions(items, ages, titles) for ranker in self._rankers]
        older = inputs[0].shape[1] - self.newest
        return torch.cat([torch.zeros(items.shape[0], older, titles.shape[1]), torch.stack(found).mean(dim=0)], dim=1)

    def _newest(self, column: Tensor) -> Tensor:
        return column[:, column.shape[1] - self.newest :]


def source_of(part: Scorer, length: int) -> Source:
    """The graph of one part.

    Raises:
        TypeError: There is no graph for such a part.
    """
    if isinstance(part, Neural):
        return Mixture(part, length)
    if isinstance(part, AverageScorer):
        return Sequence(part)
    if isinstance(part, Fitted) and part.ease is not None:
        return Content(part, length)
    if isinstance(part, Fitted):
        return Popularity(part) if part.table is None else Table(part, length)
    raise TypeError(type(part).__name__)


class Gated(nn.Module):
    """What a viewer's facts add to the weights of the parts."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        for name, array in {"mean": gate.mean, "scale": gate.scale, "slopes": gate.slopes}.items():
            self.register_buffer(name, torch.from_numpy(array.copy()))
        self.mean: Tensor
        self.scale: Tensor
        self.slopes: Tensor

    def forward(self, items: Tensor, context: Tensor) -> Tensor:
        """``[B, P]``."""
        length = torch.log1p((items > 0).sum(dim=1, keepdim=True).to(torch.float32))
        found = torch.cat([length, context], dim=1)[:, : self.mean.shape[0]]
        return ((found - self.mean) * self.scale).clamp(-FAR, FAR) @ self.slopes


class HybridGraph(nn.Module):
    """``scores``, ``contributions`` and ``parts``."""

    def __init__(self, hybrid: FittedHybrid) -> None:
        super().__init__()
        self.sources = nn.ModuleList(source_of(part, hybrid.history_length) for part in hybrid.parts.values())
        self.is_bent = hybrid.is_bent
        self.weights = [float(weight) for weight in hybrid.weights]
        self.gate = None if hybrid.gate is None else Gated(hybrid.gate)

    def forward(
        self, items: Tensor, values: Tensor, ages_days: Tensor, context: Tensor, titles: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See training.bundle_format."""
        inputs = (items, values, ages_days, context)
        first = self.sources[0].scores(inputs)  # type: ignore[operator]
        unseen = torch.ones_like(first).scatter(1, items, 0.0)
        unseen = unseen * (torch.arange(first.shape[1]) > 0)
        count = unseen.sum(dim=1, keepdim=True).clamp(min=1.0)
        scores = torch.zeros_like(first) + (values.sum() + ages_days.sum() + context.sum()) * 0.0
        contributions = torch.zeros(items.shape[0], items.shape[1], titles.shape[1])
        moved = None if self.gate is None else self.gate(items, context)
        parts = []
        for place, source in enumerate(self.sources):
            weight = self.weights[place] if moved is None else self.weights[place] + moved[:, place : place + 1]
            found = first if place == 0 else source.scores(inputs)  # type: ignore[operator]
            value, share = self._bent(found, unseen, count) if self.is_bent[place] else (found, torch.ones_like(found))
            mean = (value * unseen).sum(dim=1, keepdim=True) / count
            centred = (value - mean) * unseen
            spread = ((centred**2).sum(dim=1, keepdim=True) / count).sqrt()
            scale = torch.where(spread > NOTHING * mean.abs(), 1.0 / spread.clamp(min=TINY), torch.zeros_like(spread))
            part = weight * scale * centred
            scores = scores + part
            parts.append(part.gather(1, titles))
            factor = (weight * scale * share * unseen).gather(1, titles)
            contributions = contributions + source.moved(inputs, titles) * factor[:, None]  # type: ignore[operator]
        return scores, contributions, torch.stack(parts, dim=1)

    @staticmethod
    def _bent(found: Tensor, unseen: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """A part with its logarithm taken, and how much of that belongs to one unit of the part."""
        found = found.clamp(min=0.0)
        mean = (found * unseen).sum(dim=1, keepdim=True) / count
        ratio = torch.where(mean > 0, found / mean.clamp(min=TINY), torch.zeros_like(found))
        bent = torch.log(ratio + FLAT_BELOW)
        share = torch.where(
            found > 0, (bent - float(np.log(FLAT_BELOW))) / found.clamp(min=TINY), torch.zeros_like(found)
        )
        return bent, share
