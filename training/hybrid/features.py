"""What the ranker is given: the parts' scores of a viewer on one scale, and the examples that weights are learned from.

Belongs here: bending, standardising per viewer, examples. Does not belong here: parts (training.hybrid.parts), weights
(training.hybrid.ranker).

Of each part and viewer the scores are bent or not, then their mean and deviation over the titles that the viewer has not
met are made 0 and 1. An example is a title that came next, the titles that the parts together rank first, and titles drawn
from the rest, each of which counts for as many as it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from training.dataset import Floats, History, Ints, Split
from training.evaluation import Scorer

ROWS = 64
FLAT_BELOW = 1e-2
"""Of the mean: where the logarithm of a bent part levels off."""
NOTHING = 1e-5
"""A deviation of less than this share of the mean is rounding."""


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
        length: ``[E]``, logarithm of 1 + titles watched.
        known: ``[E, S]``, logarithm of 1 + viewers of the title.
    """

    z: Floats
    log_count: Floats
    length: Floats
    known: Floats

    def __len__(self) -> int:
        return len(self.z)


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
    """``log(score / mean + 0.01)`` of scores that are not negative, ``[n, N+1]``; all equal where all scores are 0."""
    mean = (scores * unseen).sum(axis=1, keepdims=True) / np.maximum(unseen.sum(axis=1, keepdims=True), 1)
    ratio = np.divide(np.maximum(scores, 0.0), mean, out=np.zeros_like(scores), where=mean > 0)
    found: Floats = np.log(ratio + FLAT_BELOW).astype(np.float32)
    return found


def raw(parts: Sequence[Scorer], histories: Sequence[History], contexts: Floats) -> list[Floats]:
    """Scores of each part, ``[n, N+1]``."""
    return [part.scores(histories, contexts) for part in parts]


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


def examples(
    parts: Sequence[Scorer],
    ways: Sequence[tuple[bool, ...]],
    asked: Split,
    popularity: Floats,
    *,
    hard: int,
    drawn: int,
    seed: int,
) -> Iterator[tuple[Examples, ...]]:
    """One example per row, in each way of bending the parts; a title that the viewer met before is none."""
    random = np.random.default_rng(seed)
    known = np.log1p(popularity).astype(np.float32)
    for start in range(0, len(asked), ROWS):
        block = asked.histories[start : start + ROWS]
        scores = raw(parts, block, asked.contexts[start : start + ROWS])
        found = [scaled(scores, is_bent, block) for is_bent in ways]
        blends = [np.where(one.unseen, one.z.mean(axis=1), -np.inf) for one in found]
        for row, target in enumerate(asked.targets[start : start + ROWS].tolist()):
            if found[0].unseen[row, target]:
                chosen = [_chosen(blend[row], target, hard, drawn, random) for blend in blends]
                yield tuple(
                    Examples(
                        np.ascontiguousarray(one.z[row][:, titles].T)[None],
                        np.log(stands_for)[None].astype(np.float32),
                        np.log1p(np.array([len(block[row])], dtype=np.float32)),
                        known[titles][None],
                    )
                    for one, (titles, stands_for) in zip(found, chosen, strict=True)
                )


def together(parts: Sequence[Examples]) -> Examples:
    """One after the other."""
    return Examples(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Examples)))


def _chosen(
    blend: Floats, target: int, hard: int, drawn: int, random: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """The target, the best others and some of the rest, always as many; and how many titles each stands for."""
    others = np.flatnonzero(np.isfinite(blend) & (np.arange(len(blend)) != target))
    order = (
        others[np.argsort(-blend[others], kind="stable")] if len(others) <= hard else _top_first(blend, others, hard)
    )
    best, rest = order[:hard], order[hard:]
    some = random.choice(rest, min(drawn, len(rest)), replace=False) if len(rest) else rest
    titles = np.concatenate([[target], best, some])
    stands_for = np.ones(len(titles))
    stands_for[1 + len(best) :] = len(rest) / max(len(some), 1)
    missing = 1 + hard + drawn - len(titles)
    return np.pad(titles, (0, missing)), np.pad(stands_for, (0, missing), constant_values=1e-30)


def _top_first(blend: Floats, others: Ints, count: int) -> Ints:
    place = np.argpartition(-blend[others], count - 1)
    found: Ints = others[place]
    return found
