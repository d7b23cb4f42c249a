"""Weights of the parts, learned on titles that are hidden for it: what ranks them first among themselves.

Belongs here: hiding titles, examples, the minimisation. Does not belong here: parts (training.content.space).

Hidden titles are taken out of all histories, so to the parts they are titles that nobody met; each viewer's newest of them are then
to be found, among all hidden titles that the viewer did not meet, from what came before. Weights are not negative: every
part is a kind of nearness, and a few examples shall not turn one around.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.content.config import ContentConfig
from training.content.space import Space
from training.dataset import Floats, History, Ints
from training.tasks import only

KNOWN = "known"
FEWEST = 20
"""Examples that weights are learned from; with fewer all count the same."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Examples: which title came next, and what was watched before without the hidden ones."""

    histories: tuple[History, ...]
    targets: Ints
    met: tuple[Ints, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part counts, in its own scale."""

    of: dict[str, float]
    examples: int


def draw(popularity: Floats, share: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Titles to hide, ``[N+1]``, among those that somebody met."""
    met = np.flatnonzero(popularity > 0)
    hidden = np.zeros(len(popularity), dtype=np.bool_)
    hidden[random.permutation(met)[: int(share * len(met))]] = True
    return hidden


def without(histories: Sequence[History], hidden: npt.NDArray[np.bool_]) -> list[History]:
    """Histories without the hidden titles."""
    return [only(history, ~hidden[history.items]) for history in histories]


def asked(
    learn: Sequence[History], hidden: npt.NDArray[np.bool_], config: ContentConfig, random: np.random.Generator
) -> Asked:
    """Each viewer's newest hidden titles with something watched before them."""
    found: list[tuple[History, int, Ints]] = []
    for history in learn:
        shown = ~hidden[history.items]
        for place in np.flatnonzero(~shown)[-config.targets :].tolist():
            before = only(history.until(place), shown[:place])
            if len(before):
                found.append((before, int(history.items[place]), np.delete(history.items, place)))
    if len(found) > config.examples:
        rows = np.sort(random.choice(len(found), config.examples, replace=False))
        found = [found[int(row)] for row in rows]
    return Asked(
        tuple(row[0] for row in found),
        np.array([row[1] for row in found], dtype=np.int64),
        tuple(row[2] for row in found),
    )


def query(histories: Sequence[History], size: int, last: int, decay: float) -> sp.csr_matrix:
    """What each watched title counts, ``[n, N+1]``: ``decay ** steps`` for the newest ``last``."""
    recent = [history.items[::-1][:last] for history in histories]
    rows = np.repeat(np.arange(len(recent)), [len(items) for items in recent])
    steps = np.concatenate([*(np.arange(len(items)) for items in recent), np.zeros(0, np.int64)])
    items = np.concatenate([*recent, np.zeros(0, np.int64)])
    return sp.csr_matrix(((decay**steps).astype(np.float32), (rows, items)), shape=(len(histories), size))


def learned(
    space: Space, examples: Asked, hidden: npt.NDArray[np.bool_], last: int, decay: float, strength: float
) -> Weights:
    """Weights of least loss: minus the mean log likelihood of the hidden titles that were met, plus the penalty."""
    from scipy.optimize import minimize

    parts, keep, place = _parts(space, examples, hidden, last, decay)
    scale = _scale(parts, keep)
    parts /= np.where(scale > 0, scale, 1.0)[:, None, None]
    if len(examples.targets) < FEWEST:
        raw = np.ones(len(scale))
    else:
        found = minimize(
            _loss,
            np.full(len(scale), 0.3),
            args=(parts, keep, place, strength),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] * len(scale),
            options={"maxiter": 40},
        )
        raw = found.x
    weights = np.where(scale > 0, raw / np.where(scale > 0, scale, 1.0), 0.0)
    return Weights(dict(zip([*space.lefts, KNOWN], weights.tolist(), strict=True)), len(examples.targets))


def _parts(
    space: Space, examples: Asked, hidden: npt.NDArray[np.bool_], last: int, decay: float
) -> tuple[Floats, npt.NDArray[np.bool_], Ints]:
    """Scores of the hidden titles by each part ``[P, n, H]``, which of them count ``[n, H]``, and the target's place ``[n]``."""
    titles = np.flatnonzero(hidden)
    number = np.full(len(hidden), -1)
    number[titles] = np.arange(len(titles))
    weighed = query(examples.histories, len(hidden), last, decay)
    right = space.facts.rows[titles].T
    found = [np.asarray(weighed @ left, dtype=np.float32) @ right for left in space.lefts.values()]
    found.append(np.tile(space.known[titles], (len(examples.targets), 1)))
    keep = np.ones((len(examples.targets), len(titles)), dtype=np.bool_)
    for row, items in enumerate(examples.met):
        others = number[items]
        keep[row, others[others >= 0]] = False
    return np.stack(found).astype(np.float32), keep, number[examples.targets]


def _scale(parts: Floats, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Mean deviation over titles of each part, ``[P]``."""
    if not keep.any():
        return np.ones(len(parts))
    mean = np.average(parts, axis=2)[:, :, None]
    found: npt.NDArray[np.float64] = np.sqrt(((parts - mean) ** 2).mean(axis=2)).mean(axis=1).astype(np.float64)
    return found


def _loss(
    weights: npt.NDArray[np.float64], parts: Floats, keep: npt.NDArray[np.bool_], place: Ints, strength: float
) -> tuple[float, npt.NDArray[np.float64]]:
    scores = np.where(keep, np.tensordot(weights.astype(np.float32), parts, axes=1), -np.inf)
    scores -= scores.max(axis=1, keepdims=True)
    chance = np.exp(scores)
    total = chance.sum(axis=1, keepdims=True)
    chance /= total
    rows = np.arange(len(place))
    value = float(np.mean(np.log(total[:, 0]) - scores[rows, place])) + strength * float(weights @ weights)
    expected = np.einsum("pnh,nh->p", parts, chance, optimize=True) / len(place)
    slope = expected - parts[:, rows, place].mean(axis=1) + 2.0 * strength * weights
    return value, slope.astype(np.float64)
