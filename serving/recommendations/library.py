"""What recommendations are made from, at one moment: titles, vectors, model, and how they line up.

Belongs here: one immutable snapshot that a request keeps while others are swapped in.
Does not belong here: rules (serving.recommendations.rungs), refreshing (serving.state).
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from serving.content.catalogue import Catalogue
from serving.content.vectors import Vectors
from serving.models.champion import Champion
from serving.recommendations.newcomers import Newcomers

NO_TITLES: frozenset[str] = frozenset()


class Library:
    """Titles, vectors and model, aligned once so that a request only indexes arrays."""

    def __init__(self, catalogue: Catalogue, vectors: Vectors, champion: Champion | None) -> None:
        self.token = object()
        """Names this snapshot without holding on to it."""
        self.catalogue = catalogue
        self.champion = champion
        self.is_offered = _known(champion.vocabulary, catalogue) if champion else np.zeros(0, dtype=bool)
        self.known: Collection[str] = champion.index if champion else NO_TITLES
        """The titles that the model knows: the same object as long as the same model is served."""
        self._use(vectors)
        self.has_new = len(self.new_rows) > 0 or (
            not vectors.is_whole and any(one not in self.known for one in catalogue.rows)
        )
        """Whether there is a title that the model does not know, and that may have a vector."""
        self.newcomers = Newcomers.of(catalogue, vectors, champion) if vectors.is_whole else None
        """New titles and their facts; None in a library too large to hold all vectors: pgvector finds new titles there."""

    def _use(self, vectors: Vectors) -> None:
        champion, index = self.champion, self.known
        self.vectors = vectors
        self.history = vectors
        """Where the vectors of what a viewer watched are; they are here only when all are (:meth:`with_history`)."""
        self.vector_is_offered = _known(vectors.content_ids, self.catalogue)
        self.new_rows: npt.NDArray[np.intp] = np.array(
            [
                row
                for row, content_id in enumerate(vectors.content_ids)
                if champion is not None and self.vector_is_offered[row] and content_id not in index
            ],
            dtype=np.intp,
        )
        self.new_vectors = vectors.matrix[self.new_rows]

    def with_history(self, history: Vectors) -> Library:
        """The same, and the vectors of what one viewer watched."""
        made = copy.copy(self)
        made.history = history
        return made

    def with_vectors(self, vectors: Vectors) -> Library:
        """The same with other vectors: those that matter to one request, of a library too large to hold all."""
        made = copy.copy(self)
        made._use(vectors)  # noqa: SLF001 - one of its own class
        return made

    def vectors_of_positions(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Unit vectors ``[n, d]`` of titles by their position in the champion's vocabulary; zeros for one that has none."""
        width = self.vectors.matrix.shape[1] if len(self.vectors) else 1
        found = np.zeros((len(positions), width), dtype=np.float32)
        names = self.champion.vocabulary if self.champion else ()
        for place, position in enumerate(positions.tolist()):
            row = self.vectors.rows.get(names[position])
            if row is not None:
                found[place] = self.vectors.matrix[row]
        return found

    @property
    def model_version(self) -> str | None:
        """The version that is served."""
        return self.champion.version if self.champion else None


def _known(content_ids: tuple[str, ...], catalogue: Catalogue) -> npt.NDArray[np.bool_]:
    return np.fromiter((one in catalogue.rows for one in content_ids), dtype=bool, count=len(content_ids))
