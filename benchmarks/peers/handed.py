"""What is handed to the peers' process, and what comes back: plain arrays in files.

Belongs here: the files' form, for both sides, with numpy alone. Does not belong here: models (with_rectools, with_implicit),
protocols (training.protocols), judging (benchmarks.recommenders).

Test titles are never handed over: a peer sees test histories and gives scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
PARTS = ("learn", "validation", "relearn", "test")


@dataclass(frozen=True)
class Rows:
    """Histories one behind the other.

    Attributes:
        items: Titles from 1, oldest first, ``[E]``.
        at_s: Seconds ``[E]``; 0 where the data have no times.
        ends: Where each history ends, ``[n]``.
    """

    items: Ints
    at_s: npt.NDArray[np.float64]
    ends: Ints

    @classmethod
    def of(cls, items: Sequence[Ints], at_s: Sequence[Array]) -> Rows:
        """From one array per history."""
        ends = np.cumsum([len(row) for row in items], dtype=np.int64)
        return cls(
            np.concatenate([*items, np.zeros(0, np.int64)]).astype(np.int64),
            np.concatenate([*at_s, np.zeros(0)]).astype(np.float64),
            ends,
        )

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[Ints]:
        return iter(np.split(self.items, self.ends[:-1])) if len(self) else iter(())

    @property
    def lengths(self) -> Ints:
        """Titles of each history."""
        return np.diff(self.ends, prepend=0)

    @property
    def owners(self) -> Ints:
        """The history of each entry."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def places(self) -> Ints:
        """The place of each entry in its history."""
        return np.arange(len(self.items)) - np.repeat(self.ends - self.lengths, self.lengths)


@dataclass(frozen=True)
class Handed:
    """A task without its test titles.

    Attributes:
        size: Vocabulary, the padding 0 included.
        learn: What may be learned from while choosing.
        validation: Histories whose next titles choices are made on; the first rows of ``learn``.
        targets: These titles.
        relearn: What may be learned from for the test.
        test: Histories to be scored; the first rows of ``relearn``.
    """

    size: int
    learn: Rows
    validation: Rows
    targets: Ints
    relearn: Rows
    test: Rows

    def save(self, path: Path) -> None:
        """Write one file."""
        arrays: dict[str, Any] = {"size": np.array(self.size), "targets": self.targets}
        for part in PARTS:
            rows: Rows = getattr(self, part)
            arrays |= {f"{part}.items": rows.items, f"{part}.at_s": rows.at_s, f"{part}.ends": rows.ends}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Handed:
        """Read it again."""
        with np.load(path) as found:
            rows = {part: Rows(*(found[f"{part}.{name}"] for name in ("items", "at_s", "ends"))) for part in PARTS}
            return cls(
                int(found["size"]), rows["learn"], rows["validation"], found["targets"], rows["relearn"], rows["test"]
            )


def ndcg_10(scores: Array, histories: Rows, targets: Ints) -> float:
    """NDCG@10 over all unseen titles, equal scores counted against the target: the rule of training.evaluation."""
    scores = scores.astype(np.float32, copy=True)
    scores[:, 0] = -np.inf
    scores[histories.owners, histories.items] = -np.inf
    rows = np.arange(len(targets))
    ranks = np.maximum((scores >= scores[rows, targets][:, None]).sum(axis=1), 1)
    return float(np.where(ranks <= 10, 1.0 / np.log2(1.0 + ranks), 0.0).mean())
