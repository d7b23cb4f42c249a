"""What is known about each title of a catalogue, as rows of numbers: genres, year and text.

Belongs here: the rows of a training's catalogue. Does not belong here: how a row is made (training.content.describer), where
text vectors come from (training.content.vectors), what is predicted from the rows (training.content.space).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nexus.errors import invalid
from training.content.config import ContentConfig
from training.content.describer import GENRES, ONE, TEXT, YEARS, Describer
from training.dataset import Dataset, Floats, Ints

__all__ = ["GENRES", "ONE", "TEXT", "YEARS", "Facts", "described", "of"]


@dataclass(frozen=True)
class Facts:
    """Rows of facts.

    Attributes:
        rows: ``[N+1, D]``; the padding's is 0, every other begins with a 1.
        blocks: Which columns say what.
    """

    rows: Floats
    blocks: Mapping[str, slice]

    @cached_property
    def kinds(self) -> tuple[Ints, Ints]:
        """The first title of each kind of facts, and of each title which kind it is, ``[N+1]``."""
        bits = np.ascontiguousarray(self.rows).view(np.dtype((np.void, self.rows.shape[1] * 4))).ravel()
        _, first, place = np.unique(bits, return_index=True, return_inverse=True)
        return first, place.ravel()

    def only(self, block: str) -> Floats:
        """The rows with all other blocks 0, ``[N+1, D]``."""
        kept = np.zeros_like(self.rows)
        kept[:, self.blocks[block]] = self.rows[:, self.blocks[block]]
        return kept


def of(dataset: Dataset, config: ContentConfig, vectors: Floats | None = None) -> Facts:
    """The rows of a catalogue.

    Args:
        dataset: Titles with genres and years.
        config: Settings.
        vectors: Of texts about the titles, ``[N+1, d]``; a row of zeros: nothing is known.

    Raises:
        NexusError: category ``invalid`` when the vectors are not one row a title.
    """
    return described(dataset, describer(dataset, config, vectors), vectors)


def describer(dataset: Dataset, config: ContentConfig, vectors: Floats | None = None) -> Describer:
    """What makes the rows of this catalogue, and of titles that come into it later.

    Raises:
        NexusError: as :func:`of`.
    """
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != dataset.size):
        raise invalid(
            "the text vectors are not one row a title",
            field="vectors",
            value=str(vectors.shape),
            remedy=f"give {dataset.size} rows, the first one for the padding",
        )
    return Describer.fit(dataset.genres, config.years_width, vectors, config.text_width)


def described(dataset: Dataset, made: Describer, vectors: Floats | None) -> Facts:
    """The rows by a given transformation."""
    rows = made.rows(dataset.genres, dataset.years, vectors)
    rows[0] = 0.0
    return Facts(rows, made.blocks)
