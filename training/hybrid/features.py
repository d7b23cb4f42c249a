"""What parts say about a viewer, on one scale, and the examples that parts are chosen and weighed on.

Belongs here: bending, standardising per viewer, examples. Does not belong here: parts (training.hybrid.parts), weights
(training.hybrid.ranker).

Of each part and viewer the scores are bent or not, then their mean and deviation over the titles that the viewer has not
met are made 0 and 1. An example is a title that came next, the titles that each part ranks first, and titles drawn
from the rest, each of which counts for as many as it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.dataset import Floats, History, Ints, Split
from training.evaluation import Scorer, TimedScorer

ROWS = 64
FLAT_BELOW = 1e-2
"""Of the mean: where the logarithm of a bent part levels off."""
NOTHING = 1e-5
"""A deviation of less than this share of the mean is rounding."""
ABSENT = 1e-30
"""What a title that only fills a row up stands for."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Scores of all parts for some viewers.

    Attributes:
        z: ``[n, P, N+1]``, mean 0 and deviation 1 over unseen titles; 0 everywhere where a part has nothing to say.
        unseen: ``[n, N+1]``.
        scale: ``[n, P]``, one over the deviation before; 0 where a part has nothing to say.
    """

    z: Floats
    unseen: npt.NDArray[np.bool_]
    scale: Floats


@dataclass(frozen=True, slots=True)
class Examples:
    """One row per title that came next; the first of its ``S`` titles is that one.

    Attributes:
        z: ``[E, S, P]``.
        log_count: ``[E, S]``, logarithm of how many titles each stands for.
        facts: What is known of each viewer (training.hybrid.gate), ``[E, F]``; none where nobody asks.
    """

    z: Floats
    log_count: Floats
    facts: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.z)

    def only(self, rows: Ints, parts: Sequence[int]) -> Examples:
        """Some rows and parts."""
        facts = self.facts[rows] if len(self.facts) else self.facts
        return Examples(self.z[rows][:, :, list(parts)], self.log_count[rows], facts)


def newest(histories: Sequence[History], length: int) -> list[History]:
    """Histories without what is too old to be looked at."""
    return [
        history
        if len(history) <= length
        else History(
            history.items[-length:], history.values[-length:], history.at_s[-length:], history.context[-length:]
        )
        for history in histories
    ]


def bent(scores: Floats, unseen: npt.NDArray[np.bool_]) -> Floats:
    """``log(score / mean + 0.01)``, ``[n, N+1]``, with scores below 0 taken as 0; all equal where no score is above."""
    scores = np.maximum(scores, 0.0)
    mean = (scores * unseen).sum(axis=1, keepdims=True) / np.maximum(unseen.sum(axis=1, keepdims=True), 1)
    ratio = np.divide(scores, mean, out=np.zeros_like(scores), where=mean > 0)
    found: Floats = np.log(ratio + FLAT_BELOW).astype(np.float32)
    return found


def raw(
    parts: Sequence[Scorer],
    histories: Sequence[History],
    contexts: Floats,
    asked_at_s: npt.NDArray[np.float64] | None = None,
) -> list[Floats]:
    """Scores of each part, ``[n, N+1]``; the time of the request goes to those that make use of it."""
    return [
        part.scores_at(histories, contexts, asked_at_s)
        if asked_at_s is not None and isinstance(part, TimedScorer)
        else part.scores(histories, contexts)
        for part in parts
    ]


def scaled(found: Sequence[Floats], is_bent: Sequence[bool], histories: Sequence[History]) -> Scaled:
    """Scores of all parts for some viewers (from :func:`raw`), on one scale."""
    unseen = np.ones(found[0].shape, dtype=np.bool_)
    unseen[:, 0] = False
    for row, history in enumerate(histories):
        unseen[row, history.items] = False
    values = np.stack([bent(s, unseen) if bend else s for s, bend in zip(found, is_bent, strict=True)], axis=1)
    count = np.maximum(unseen.sum(axis=1), 1)[:, None]
    keep = unseen[:, None]
    mean = np.einsum("npj,nj->np", values, unseen.astype(np.float32)) / count
    values -= mean[:, :, None].astype(np.float32)
    values *= keep
    spread = np.sqrt(np.einsum("npj,npj->np", values, values) / count)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > NOTHING * np.abs(mean)).astype(np.float32)
    values *= scale[:, :, None]
    return Scaled(values.astype(np.float32, copy=False), unseen, scale)


def blocks(
    parts: Sequence[Scorer], is_bent: Sequence[bool], split: Split, length: int
) -> Iterator[tuple[slice, Scaled]]:
    """A split's rows, some at a time, with what the parts say about their newest titles."""
    for start in range(0, len(split), ROWS):
        rows = slice(start, start + ROWS)
        block = newest(split.histories[rows], length)
        asked_at_s = None if split.asked_at_s is None else split.asked_at_s[rows]
        yield rows, scaled(raw(parts, block, split.contexts[rows], asked_at_s), is_bent, block)


def examples(
    parts: Sequence[Scorer], is_bent: Sequence[bool], split: Split, *, length: int, top: int, drawn: int, seed: int
) -> tuple[Examples, Ints]:
    """One example per row whose title the viewer had not met before, and the numbers of these rows."""
    random = np.random.default_rng(seed)
    z, counts, kept = [], [], []
    for rows, found in blocks(parts, is_bent, split, length):
        for row, target in enumerate(split.targets[rows].tolist()):
            unmet = found.unseen[row].copy()
            unmet[split.histories[rows.start + row].items] = False
            if unmet[target]:
                titles, stands_for = _chosen(found.z[row], unmet, target, top, drawn, random)
                z.append(np.ascontiguousarray(found.z[row][:, titles].T))
                counts.append(np.log(stands_for).astype(np.float32))
                kept.append(rows.start + row)
    if not kept:
        nothing = np.zeros((0, 1), np.float32)
        return Examples(np.zeros((0, 1, len(parts)), np.float32), nothing), np.zeros(0, np.int64)
    return Examples(np.stack(z), np.stack(counts)), np.array(kept, dtype=np.int64)


def _chosen(
    z: Floats, unseen: npt.NDArray[np.bool_], target: int, top: int, drawn: int, random: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """The target, the best of each part and some of the rest, always as many; and how many titles each stands for."""
    others = np.flatnonzero(unseen & (np.arange(len(unseen)) != target))
    count = min(top, len(others))
    best = np.unique(others[np.argpartition(-z[:, others], max(count - 1, 0), axis=1)[:, :count]]) if count else others
    rest = np.setdiff1d(others, best, assume_unique=True)
    some = random.choice(rest, min(drawn, len(rest)), replace=False) if len(rest) else rest
    titles = np.concatenate([[target], best, some])
    stands_for = np.ones(len(titles))
    stands_for[1 + len(best) :] = len(rest) / max(len(some), 1)
    missing = 1 + top * len(z) + drawn - len(titles)
    return np.pad(titles, (0, missing)), np.pad(stands_for, (0, missing), constant_values=ABSENT)
