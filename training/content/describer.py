"""How any title becomes a row of facts: genres, year and text vector in, numbers out.

Belongs here: the transformation, learned on one catalogue and applied to titles that came later, in training and in serving
alike, so it imports numpy alone. Does not belong here: what is predicted from the rows (training.content.space), files
(training.content.served).

Each block of a row has length 1, or is 0 where nothing is known; NaN, infinity, an unknown genre and a vector of another
encoder's width count as not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
FIRST_YEAR, LAST_YEAR = 1900.0, 2030.0
ONE, GENRES, YEARS, TEXT = "one", "genres", "years", "text"


@dataclass(frozen=True, eq=False)
class Describer:
    """Makes rows of facts.

    Attributes:
        genres: Names, in the order of their columns.
        years_width: Years between the bumps that describe a year.
        mean: Of the catalogue's unit text vectors, ``[d]``; empty without texts.
        axes: Principal directions of these, ``[d, <= d]``.
    """

    genres: tuple[str, ...]
    years_width: float
    mean: npt.NDArray[np.floating]
    axes: npt.NDArray[np.floating]

    @classmethod
    def fit(
        cls, genres: Sequence[Sequence[str]], years_width: float, vectors: Floats | None, text_width: int
    ) -> Describer:
        """The transformation of a catalogue, whose first row is the padding."""
        names = tuple(sorted({genre for of_title in genres for genre in of_title}))
        mean, axes = _principal(np.zeros((0, 0), np.float32) if vectors is None else vectors, text_width)
        return cls(names, years_width, mean, axes)

    @cached_property
    def centres(self) -> npt.NDArray[np.float64]:
        """The years of the bumps."""
        return np.arange(FIRST_YEAR, LAST_YEAR + self.years_width, self.years_width)

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Which columns say what."""
        widths = {ONE: 1, GENRES: len(self.genres), YEARS: len(self.centres), TEXT: self.axes.shape[1]}
        ends = np.cumsum(list(widths.values())).tolist()
        return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True) if width}

    @property
    def width(self) -> int:
        """Columns of a row."""
        return 1 + len(self.genres) + len(self.centres) + self.axes.shape[1]

    def rows(self, genres: Sequence[Sequence[str]], years: npt.ArrayLike, vectors: Floats | None = None) -> Floats:
        """Rows of facts, ``[n, width]``, each beginning with a 1.

        Args:
            genres: Of each title.
            years: Of each title; NaN: not known.
            vectors: Of texts about the titles, ``[n, d]``; a row of zeros: nothing is known; None: of none.
        """
        count = len(genres)
        parts = [np.ones((count, 1), np.float32), self._genres(genres), self._years(np.asarray(years, np.float32))]
        return np.concatenate([*parts, self._text(count, vectors)], axis=1)

    def _genres(self, genres: Sequence[Sequence[str]]) -> Floats:
        place = {name: number for number, name in enumerate(self.genres)}
        flags = np.zeros((len(genres), len(place)))
        for row, names in enumerate(genres):
            flags[row, [place[name] for name in names if name in place]] = 1.0
        return unit(flags)

    def _years(self, years: Floats) -> Floats:
        """Gaussian bumps: near years have like rows."""
        known = np.isfinite(years)
        held = np.clip(np.where(known, years, 0.0), FIRST_YEAR, LAST_YEAR).astype(np.float64)
        bumps = np.exp(-((held[:, None] - self.centres[None]) ** 2) / (2.0 * self.years_width**2)) * known[:, None]
        return unit(bumps)

    def _text(self, count: int, vectors: Floats | None) -> Floats:
        if vectors is None or vectors.shape != (count, len(self.mean)) or not len(self.mean):
            return np.zeros((count, self.axes.shape[1]), np.float32)
        clean, known = _clean(vectors)
        return unit(np.where(known[:, None], clean - self.mean, 0.0) @ self.axes)


def _principal(vectors: Floats, width: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and first principal directions of the vectors that are known, without the padding's."""
    clean, known = _clean(vectors)
    known[:1] = False
    if not known.any():
        return np.zeros(0), np.zeros((0, 0))
    mean = clean[known].mean(axis=0)
    centred = np.where(known[:, None], clean - mean, 0.0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :width]
    return mean, axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)


def _clean(vectors: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Vectors of length 1 and which of them say anything."""
    clean = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0.0).astype(np.float64)
    clean /= np.maximum(np.linalg.norm(clean, axis=1, keepdims=True), 1e-12)
    return clean, np.any(clean != 0, axis=1)


def unit(rows: np.ndarray) -> Floats:
    """Rows of length 1; rows of zeros stay."""
    scaled: Floats = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return scaled
