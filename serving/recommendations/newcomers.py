"""Titles that nobody had met when the served model was made, ready to be ranked by what is known about them.

Belongs here: their facts as rows, made once when titles or model change, and the one thin product of a request.
Does not belong here: the projection itself (training.content.served), which places of a list they get (rungs).

These are the titles outside the model's vocabulary and those inside it that had no viewer: to the model's counts both are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.content.catalogue import Catalogue
from serving.content.vectors import Matrix, Vectors
from serving.models.champion import Champion
from serving.viewers.viewer import Entry, Viewer, is_disliked
from training.content.served import Projection

BLOCK = 4096
"""Titles described at once: what it takes on the way is some tens of megabytes then."""
FLOOR = 0.8
"""A new title is shown where it scores higher for the viewer than this share of ordinary titles (docs/recommender.md)."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The watched titles that new ones are scored by, newest first, and what each asks for, ``[L, D]``."""

    names: list[str]
    lefts: Matrix


class Newcomers:
    """New titles of one library under one projection. Never changes; a refresh makes another.

    Args:
        projection: Of the served model.
        content_ids: The titles.
        rows: Their facts, ``[n, D]``.
        is_waiting: Which of them the model knows and nobody has watched.
        met: The row in the projection of every title that it has met.
    """

    def __init__(
        self,
        projection: Projection,
        content_ids: Sequence[str],
        rows: Matrix,
        is_waiting: npt.NDArray[np.bool_],
        met: dict[str, int],
        floor: float = FLOOR,
    ) -> None:
        self.content_ids = tuple(content_ids)
        self.is_waiting = is_waiting
        self.floor = floor
        self._projection = projection
        self._rows = rows
        self._static = projection.static(rows)
        self._reference = projection.reference
        self._reference_static = projection.static(projection.reference)
        self._met = met
        self._index = {content_id: row for row, content_id in enumerate(self.content_ids)}

    @classmethod
    def of(cls, catalogue: Catalogue, vectors: Vectors, champion: Champion | None) -> Newcomers | None:
        """The new titles of a library; None where the model has no projection."""
        projection = champion.content if champion is not None else None
        if champion is None or projection is None:
            return None
        met = {champion.vocabulary[position]: row for position, row in projection.row_of.items()}
        titles = [title for title in catalogue.titles if title.content_id not in met]
        parts = [np.zeros((0, projection.describer.width), np.float32)]
        for start in range(0, len(titles), BLOCK):
            block = titles[start : start + BLOCK]
            years = [np.nan if title.year is None else title.year for title in block]
            texts = _texts([title.content_id for title in block], vectors)
            parts.append(projection.describer.rows([title.genres for title in block], years, texts))
        is_waiting = [title.content_id in champion.index and not title.interactions for title in titles]
        names = [title.content_id for title in titles]
        return cls(projection, names, np.concatenate(parts), np.array(is_waiting, dtype=bool), met)

    def __len__(self) -> int:
        return len(self.content_ids)

    def asking(self, viewer: Viewer) -> Asking | None:
        """What the viewer's history asks for; None when nothing of it is known."""
        if not len(self):
            return None
        used = [entry["content_id"] for entry in viewer.watched() if self._is_used(entry)]
        used = used[: self._projection.facts.last]
        if not used:
            return None
        facts = np.zeros((len(used), self._rows.shape[1]), np.float32)
        for place, name in enumerate(used):
            if name not in self._met:
                facts[place] = self._rows[self._index[name]]
        return Asking(used, self._projection.lefts([self._met.get(name) for name in used], facts))

    def _is_used(self, entry: Entry) -> bool:
        return not is_disliked(entry) and (entry["content_id"] in self._met or entry["content_id"] in self._index)

    def scores(self, asking: Asking, barred: Collection[str]) -> Matrix:
        """Of every new title, ``[n]``; -inf where the viewer must not see it, or where it is not near enough to be shown."""
        scores, ordinary = self.compared(asking)
        scores[(scores <= self._static) | (scores < np.quantile(ordinary, self.floor))] = -np.inf
        scores[[self._index[one] for one in barred if one in self._index]] = -np.inf
        return scores

    def compared(self, asking: Asking) -> tuple[Matrix, Matrix]:
        """Scores of every new title, and of the ordinary titles that they are held against."""
        query = asking.lefts.sum(axis=0)
        return self._rows @ query + self._static, self._reference @ query + self._reference_static

    def contributions(self, asking: Asking, rows: npt.NDArray[np.intp]) -> Matrix:
        """What each watched title adds to the scores of the given new titles, ``[L, k]``."""
        found: Matrix = asking.lefts @ self._rows[rows].T
        return found


def _texts(content_ids: Sequence[str], vectors: Vectors) -> Matrix | None:
    """Their vectors, zeros for one that has none; None where nobody has one."""
    if not len(vectors):
        return None
    found = np.zeros((len(content_ids), vectors.matrix.shape[1]), np.float32)
    for place, content_id in enumerate(content_ids):
        row = vectors.rows.get(content_id)
        if row is not None:
            found[place] = vectors.matrix[row]
    return found
