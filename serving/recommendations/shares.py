"""What each title of a history added to a score.

Belongs here: shares in the order of their size, without making more of them than are asked for. Does not belong here: where
they come from (rungs), words (reasons).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt


class Shares:
    """Titles with what each added, greatest first; equal ones in the order of the history.

    Args:
        names: Titles, ``L`` of them.
        parts: What each added, ``[L]``.
    """

    def __init__(self, names: Sequence[str], parts: npt.NDArray[np.floating]) -> None:
        self._names = names
        self._parts = parts
        self.total = float(parts.sum(dtype=np.float64))

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        for place in np.argsort(-self._parts, kind="stable").tolist():
            yield self._names[place], float(self._parts[place])

    def first(self, count: int) -> list[tuple[str, float]]:
        """The greatest ones."""
        return list(islice(self, count))


NONE = Shares((), np.zeros(0, dtype=np.float32))
