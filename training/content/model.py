"""The content model behind the one interface of models: ranks titles by what is known about them, watched by anybody or not.

Belongs here: choices on validation titles, the fitted model. Does not belong here: parts (training.content.space), their
weights (training.content.weights), the protocol ``held-out-titles`` that judges it (training.held_out).

A title's score depends on what is known about it alone, never on whether anybody met it, so titles with and without viewers stand
on one scale. Choices are made by how validation titles rank among their like: those that nobody met among titles
that nobody met, the others among all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.content import facts as facts_of
from training.content.config import ContentConfig
from training.content.facts import Facts
from training.content.part import NAME, Setting, joined, rehearse
from training.content.space import counted, space
from training.content.vectors import Vectors
from training.content.weights import query
from training.dataset import Dataset, Floats, History, Split
from training.evaluation import Scorer, evaluate
from training.floors import Fitted
from training.metrics import Among
from training.models_api import Tell, TooLittleError

if TYPE_CHECKING:
    from training.export import Exported

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Dense:
    """The same scores as :class:`Fitted` gives, sooner: the facts as they are, not as a sparse matrix.

    Titles of equal facts get equal scores, bit by bit, so that ties count as ties: each kind of facts is scored once.
    """

    fitted: Fitted
    facts: Facts

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002 (the Scorer protocol)
        """Scores of the whole catalogue."""
        assert self.fitted.ease is not None  # noqa: S101 (made by content.part.joined)
        asked = query(histories, len(self.facts.rows), self.fitted.last, self.fitted.decay)
        first, place = self.facts.kinds
        left = np.asarray(asked @ self.fitted.ease.left, dtype=np.float32)
        found: Floats = left @ self.facts.rows[first].T + self.fitted.static[first]
        return found[:, place]


@dataclass(frozen=True)
class FittedContent:
    """The content model over some histories."""

    dataset: Dataset = field(repr=False)
    config: ContentConfig
    facts: Facts = field(repr=False)
    setting: Setting
    fitted: Fitted = field(repr=False)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was chosen, the weight of each part, and what was known of how many titles."""
        known = {
            name: int(np.any(self.facts.rows[:, part] != 0, axis=1).sum()) for name, part in self.facts.blocks.items()
        }
        return {
            "ridge": self.setting.ridge,
            "last": self.setting.last,
            "query_decay": self.setting.decay,
            "weights": {name: round(value, 6) for name, value in self.setting.weights.of.items()},
            "learned_from": self.setting.weights.examples,
            "titles_known_by": {name: count for name, count in known.items() if name != facts_of.ONE},
        }

    @property
    def history_length(self) -> int:
        """Newest titles that are looked at."""
        longest = max((len(history) for history in self.dataset.histories), default=1)
        return max(1, min(self.setting.last, longest, LONGEST))

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores of the whole catalogue."""
        return Dense(self.fitted, self.facts).scores(histories, contexts)

    def refit(self, learn: Sequence[History]) -> FittedContent:
        """The same settings and weights over other histories."""
        told = counted(_some(learn), self.dataset.size, self.config)
        fitted = joined(space(told, self.facts, self.setting.ridge), self.setting)
        return FittedContent(self.dataset, self.config, self.facts, self.setting, fitted)

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write ONNX, compared with torch; contributions are exact."""
        from training.content.export import export

        return export(self.fitted, dataset, path, history_length=self.history_length)


@dataclass
class ContentModel:
    """The content model, not fitted yet.

    Attributes:
        config: Settings.
        vectors: Gives vectors of texts about titles; None: genres and years alone.
        name: As it stands in tables.
    """

    config: ContentConfig
    vectors: Vectors | None = None
    name: str = NAME

    def use_vectors(self, vectors: Vectors) -> None:
        """Where vectors of texts come from."""
        self.vectors = vectors

    def fit(
        self,
        dataset: Dataset,
        learn: Sequence[History],
        *,
        validation: Split | None,
        seed: int,
        budget_s: float,
        tell: Tell,
    ) -> Scorer:
        """Learn weights for every penalty and query, choose on the validation titles; without these, take the first ones.

        Raises:
            TooLittleError: There is nothing to learn from.
        """
        started, told_of = time.monotonic(), _some(learn)
        facts = facts_of.of(dataset, self.config, None if self.vectors is None else self.vectors(dataset))
        rehearsal = rehearse(dataset, told_of, self.config, seed)
        told = counted(told_of, dataset.size, self.config)
        best, most = None, -1.0
        for ridge, (last, decay) in product(self.config.ridges, self.config.queries):
            setting = rehearsal.setting(facts, self.config, ridge, last, decay)
            fitted = joined(space(told, facts, ridge), setting)
            scorer = Dense(fitted, facts)
            figure = 0.0 if validation is None else among_like(scorer, validation, told.popularity)
            if figure > most:
                best, most = (setting, fitted), figure
            if validation is None or time.monotonic() - started > budget_s:
                break
        if best is None:
            raise TooLittleError("no setting gives figures", f"{len(learn)} histories")
        tell(
            f"{self.name}: gain {most:.4f} on validation titles among their like, ridge {best[0].ridge}, {best[0].last} titles ask"
        )
        return FittedContent(dataset, self.config, facts, *best)


def _some(learn: Sequence[History]) -> list[History]:
    found = [history for history in learn if len(history)]
    if not found:
        raise TooLittleError("there is nothing to learn from", f"{len(learn)} histories")
    return found


def among_like(scorer: Scorer, split: Split, popularity: Floats) -> float:
    """Mean of ``1 / log2(1 + rank)`` without a cut: of titles that nobody met among those, of the others among all."""
    met = popularity > 0
    gains = []
    for is_met in (True, False):
        rows = np.flatnonzero(met[split.targets] == is_met)
        if len(rows):
            part = Split(split.name, tuple(split.histories[i] for i in rows), split.targets[rows], split.contexts[rows])
            like = Among(scorer, ~met if not is_met else np.ones_like(met))
            gains.append(1.0 / np.log2(1.0 + evaluate(like, part, len(met)).ranks))
    return float(np.concatenate(gains).mean()) if gains else 0.0
