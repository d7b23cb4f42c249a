"""The fitted hybrid: the chosen parts over some histories with their weights, as a scorer.

Belongs here: making parts over histories, scores, export. Does not belong here: learning (training.hybrid.model), reasons (they
are in the graph: training.hybrid.graph).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.dataset import Dataset, Floats, History
from training.evaluation import Scorer
from training.hybrid import features, parts
from training.hybrid import gate as gates
from training.hybrid.config import HybridConfig
from training.hybrid.gate import Gate
from training.hybrid.selection import Step
from training.recommender import Neural
from training.sequence.several import AverageScorer

if TYPE_CHECKING:
    from training.export import Exported

MIXTURE, SEQUENCE = "attention", "sequence"
"""Names of the parts that are trained."""


@dataclass(frozen=True)
class Maker:
    """Makes parts over some histories; what is trained keeps its weights.

    Attributes:
        dataset: Catalogue.
        config: Settings.
        mixture: Gives the mixture with its tables counted over some histories; None: there is none.
        sequence: The sequence transformers; None: there are none.
    """

    dataset: Dataset
    config: HybridConfig
    mixture: Callable[[Sequence[History]], Neural] | None = field(repr=False, default=None)
    sequence: AverageScorer | None = field(repr=False, default=None)

    def parts(
        self, learn: Sequence[History], only: Collection[str] | None = None, *, is_new: bool = True
    ) -> dict[str, Scorer]:
        """Parts by name.

        Args:
            learn: What they are counted over.
            only: Names; None: all.
            is_new: Whether these are other histories than the sequence transformer was trained on.
        """
        found: dict[str, Scorer] = {}
        if self.mixture is not None and (only is None or MIXTURE in only):
            found[MIXTURE] = self.mixture(learn)
        if self.sequence is not None and (only is None or SEQUENCE in only):
            found[SEQUENCE] = self.sequence.refit(learn) if is_new else self.sequence
        return found | {part.name: part for part in parts.counted(self.dataset, learn, self.config, only)}


@dataclass(frozen=True)
class FittedHybrid:
    """Parts over some histories, and their weights: a scorer.

    Attributes:
        parts: Those that were chosen, by name.
        weights: Of each, ``[P]``.
        maker: Makes them over other histories.
        steps: How they were chosen.
        alone: NDCG@10 of every part alone on the validation titles, also of those that were not chosen.
        unbiased: For each validation title, weights that were learned without its viewer, ``[n, P]``.
        trained: What the trained parts came to, for the summary.
        gate: How the weights depend on the viewer; None: they do not.
        tried: What gates were worth on the validation titles.
    """

    parts: Mapping[str, Scorer]
    weights: Floats
    maker: Maker = field(repr=False)
    steps: tuple[Step, ...] = ()
    alone: Mapping[str, float] = field(default_factory=dict)
    unbiased: Floats | None = field(default=None, repr=False)
    trained: Mapping[str, Any] = field(default_factory=dict, repr=False)
    gate: Gate | None = None
    tried: tuple[Step, ...] = ()

    @property
    def is_bent(self) -> tuple[bool, ...]:
        """Of which parts the logarithm is taken."""
        return tuple(name not in parts.NEVER_BENT for name in self.parts)

    @property
    def history_length(self) -> int:
        """Newest titles that are looked at."""
        return self.maker.config.history_length

    @property
    def settings(self) -> Mapping[str, Any]:
        """The weight of each part, how parts were chosen, and what each reaches alone on the validation titles."""
        return {
            "weights": {name: round(float(value), 4) for name, value in zip(self.parts, self.weights, strict=True)},
            "logarithm_of": [name for name, bend in zip(self.parts, self.is_bent, strict=True) if bend],
            "chosen": [_as_dict(step) for step in self.steps],
            "gate": None if self.gate is None else self.gate.slopes.round(4).tolist(),
            "gates_tried": [_as_dict(step) for step in self.tried],
            "alone_validation_ndcg@10": dict(self.alone),
            "trained": dict(self.trained),
        }

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores of the whole catalogue."""
        return self.weighed(histories, contexts, None, self.weights_of(histories, contexts))

    def scores_at(self, histories: Sequence[History], contexts: Floats, asked_at_s: npt.NDArray[np.float64]) -> Floats:
        """The same, asked for at given seconds since 1970 (matters to parts that know the time)."""
        return self.weighed(histories, contexts, asked_at_s, self.weights_of(histories, contexts))

    def weights_of(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """The weights of viewers, ``[n, P]``."""
        if self.gate is None:
            return np.tile(self.weights, (len(histories), 1))
        return self.gate.weights(self.weights, gates.facts(histories, contexts, self.history_length))

    def weighed(
        self,
        histories: Sequence[History],
        contexts: Floats,
        asked_at_s: npt.NDArray[np.float64] | None,
        weights: Floats,
    ) -> Floats:
        """Scores with weights of each viewer's own, ``[n, P]``."""
        rows = features.newest(histories, self.history_length)
        out = np.empty((len(rows), self.maker.dataset.size), np.float32)
        for start in range(0, len(rows), features.ROWS):
            block = slice(start, start + features.ROWS)
            asked = None if asked_at_s is None else asked_at_s[block]
            found = features.raw(list(self.parts.values()), rows[block], contexts[block], asked)
            z = features.scaled(found, self.is_bent, rows[block]).z
            out[block] = np.einsum("npj,np->nj", z, weights[block])
        return out

    def refit(self, learn: Sequence[History]) -> FittedHybrid:
        """The same weights over parts of other histories."""
        return replace(self, parts=self.ordered(self.maker.parts(learn, set(self.parts))))

    def every_part(self, learn: Sequence[History]) -> dict[str, Scorer]:
        """All parts over other histories, also those that were not chosen: what the hybrid is compared with."""
        return self.maker.parts(learn)

    def ordered(self, found: Mapping[str, Scorer]) -> dict[str, Scorer]:
        """Parts in the order of the weights."""
        return {name: found[name] for name in self.parts}

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write ONNX, compared with these scores."""
        from training.hybrid.export import export

        return export(self, dataset, path)


def _as_dict(step: Step) -> dict[str, Any]:
    return {"part": step.part, "ndcg@10": step.ndcg, "gain": step.gain, "standard_error": step.error}
