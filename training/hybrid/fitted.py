"""The fitted hybrid: parts over some histories with their weights, as a scorer, and several of them compared at once.

Belongs here: making parts over histories, scores, reasons, export. Does not belong here: learning (training.hybrid.model).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.dataset import Dataset, Floats, History, Split
from training.evaluation import Scorer, ndcg, ranked
from training.hybrid import features, parts
from training.hybrid.config import HybridConfig
from training.hybrid.ranker import Weights

if TYPE_CHECKING:
    from training.export import Exported

MIXTURE = "mixture"
Mixture = Callable[[Sequence[History]], Scorer]
"""Gives the mixture with its tables counted over some histories."""


@dataclass(frozen=True)
class Maker:
    """Makes all parts over some histories."""

    dataset: Dataset
    config: HybridConfig
    vectors: Floats | None = field(repr=False)
    mixture: Mixture | None = field(repr=False)

    def parts(self, learn: Sequence[History]) -> dict[str, Scorer]:
        """Parts by name."""
        found: dict[str, Scorer] = {
            part.name: part for part in parts.counted(self.dataset, learn, self.config, self.vectors)
        }
        if self.mixture is not None:
            found[MIXTURE] = self.mixture(learn)
        return found


@dataclass(frozen=True)
class FittedHybrid:
    """Parts over some histories, and their weights: a scorer."""

    parts: Mapping[str, Scorer]
    is_bent: tuple[bool, ...]
    weights: Weights
    popularity: Floats = field(repr=False)
    maker: Maker = field(repr=False)
    alone: Mapping[str, float] = field(default_factory=dict)

    @property
    def history_length(self) -> int:
        """Newest titles that are looked at."""
        return self.maker.config.history_length

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was chosen, the weight of each part, and what each reaches alone on the validation titles."""
        weights = self.weights
        return {
            "form": weights.form,
            "strength": weights.strength,
            "bent": [name for name, bend in zip(self.parts, self.is_bent, strict=True) if bend],
            "weights": _named(self.parts, weights.plain),
            "by_length": _named(self.parts, weights.by_length),
            "by_known": _named(self.parts, weights.by_known),
            "alone_validation_ndcg@10": dict(self.alone),
        }

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores of the whole catalogue."""
        rows = features.newest(histories, self.history_length)
        title = self.weights.title_gate(self.popularity)
        out = np.empty((len(rows), len(self.popularity)), np.float32)
        for start in range(0, len(rows), features.ROWS):
            block = slice(start, start + features.ROWS)
            scores = features.raw(list(self.parts.values()), rows[block], contexts[block])
            found = features.scaled(scores, self.is_bent, rows[block])
            viewer = self.weights.viewer_gate(np.array([len(history) for history in rows[block]]))
            out[block] = self.weights.scores(found.z, viewer, title)
        return out

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write ONNX, compared with torch."""
        from training.hybrid.export import export

        return export(self, dataset, path)

    def refit(self, learn: Sequence[History]) -> FittedHybrid:
        """The same weights over parts of other histories."""
        counts = parts.popularity(learn, self.maker.dataset.size)
        return replace(self, parts=self.maker.parts(learn), popularity=counts)


def _named(names: Mapping[str, Scorer], values: Floats) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def judged(candidates: Sequence[FittedHybrid], split: Split) -> list[float]:
    """NDCG@10 of candidates over the same parts, whose scores are made once."""
    first, found = candidates[0], []
    rows = features.newest(split.histories, first.history_length)
    titles = [candidate.weights.title_gate(candidate.popularity) for candidate in candidates]
    for start in range(0, len(rows), features.ROWS):
        part = slice(start, start + features.ROWS)
        scores = features.raw(list(first.parts.values()), rows[part], split.contexts[part])
        ways = {way: features.scaled(scores, way, rows[part]) for way in {one.is_bent for one in candidates}}
        seen = [history.items for history in split.histories[part]]
        lengths = np.array([len(history) for history in rows[part]])
        for candidate, title in zip(candidates, titles, strict=True):
            weights = candidate.weights
            given = weights.scores(ways[candidate.is_bent].z, weights.viewer_gate(lengths), title)
            found.append(ndcg(ranked(given, seen, split.targets[part])[0], 10))
    return [
        float(np.concatenate(found[place :: len(candidates)]).mean(dtype=np.float64))
        for place in range(len(candidates))
    ]
