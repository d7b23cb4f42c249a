"""What is known about each title, as rows of numbers: genres, year and text.

Belongs here: the rows. Does not belong here: where text vectors come from (training.content.vectors), what is predicted from
the rows (training.content.space).

Each block of a title's row has length 1, or is 0 where nothing is known; NaN and infinity count as not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nexus.errors import invalid
from training.content.config import ContentConfig
from training.dataset import Dataset, Floats, Ints

FIRST_YEAR, LAST_YEAR = 1900.0, 2030.0
ONE, GENRES, YEARS, TEXT = "one", "genres", "years", "text"


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
    size = dataset.size
    found = {ONE: np.ones((size, 1), np.float32), GENRES: _genres(dataset), YEARS: _years(dataset, config.years_width)}
    if vectors is not None:
        if vectors.ndim != 2 or len(vectors) != size:
            raise invalid(
                "the text vectors are not one row a title",
                field="vectors",
                value=str(vectors.shape),
                remedy=f"give {size} rows, the first one for the padding",
            )
        found[TEXT] = text_rows(vectors, config.text_width)
    ends = np.cumsum([block.shape[1] for block in found.values()]).tolist()
    rows = np.concatenate(list(found.values()), axis=1)
    rows[0] = 0.0
    blocks = {
        name: slice(start, end) for name, start, end in zip(found, [0, *ends[:-1]], ends, strict=True) if end > start
    }
    return Facts(rows, blocks)


def text_rows(vectors: Floats, width: int) -> Floats:
    """The first principal directions of the vectors that are known, each row scaled to length 1, ``[N+1, <= width]``."""
    clean = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0.0).astype(np.float64)
    clean /= np.maximum(np.linalg.norm(clean, axis=1, keepdims=True), 1e-12)
    known = np.any(clean != 0, axis=1)
    known[0] = False
    if not known.any():
        return np.zeros((len(vectors), 0), np.float32)
    clean = np.where(known[:, None], clean - clean[known].mean(axis=0), 0.0)
    _, axes = np.linalg.eigh(clean.T @ clean)
    axes = axes[:, ::-1][:, :width]
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return _unit(clean @ axes)


def _genres(dataset: Dataset) -> Floats:
    names = sorted({genre for genres in dataset.genres for genre in genres})
    place = {name: number for number, name in enumerate(names)}
    flags = np.zeros((dataset.size, len(names)))
    for row, genres in enumerate(dataset.genres):
        flags[row, [place[genre] for genre in genres]] = 1.0
    return _unit(flags)


def _years(dataset: Dataset, width: float) -> Floats:
    """Gaussian bumps around years ``width`` apart: near years have like rows."""
    known = np.isfinite(dataset.years)
    years = np.clip(np.where(known, dataset.years, 0.0), FIRST_YEAR, LAST_YEAR).astype(np.float64)
    centres = np.arange(FIRST_YEAR, LAST_YEAR + width, width)
    bumps = np.exp(-((years[:, None] - centres[None]) ** 2) / (2.0 * width**2)) * known[:, None]
    return _unit(bumps)


def _unit(rows: np.ndarray) -> Floats:
    scaled: Floats = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return scaled
