"""Training examples: for each held target, what every neighbour table says about it, entry by entry of the history.

Belongs here: cross-fitting (a viewer's targets are learned from tables counted on the *other* viewers), the arrays.
Does not belong here: the tables (training.neighbours), the loss (training.models).

For an additive model the full softmax needs two numbers per history entry and channel only: the target's share in the
entry's row, and the share of all unseen titles. So they are computed once, and an epoch costs no more than the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp

from training import neighbours
from training.config import RecommenderConfig
from training.dataset import SECONDS_PER_DAY, Floats, History, Ints
from training.models_api import TooLittleError
from training.neighbours import Counted, Tables


@dataclass(frozen=True, slots=True)
class Examples:
    """Arrays with one row per example; the newest entry of a history is at the right end.

    Attributes:
        items: ``[E, L]``, 0 = padding.
        values: ``[E, L]``.
        ages_days: ``[E, L]``, older than the newest entry by so many days.
        context: ``[E, F]``.
        hit: ``[E, L, C]``, share of the target in the entry's row.
        unseen: ``[E, L, C]``, share of all unseen titles in the entry's row.
        prior_hit: ``[E]``, share of the target in all interactions.
        prior_unseen: ``[E]``, share of all unseen titles in all interactions.
    """

    items: Ints
    values: Floats
    ages_days: Floats
    context: Floats
    hit: Floats
    unseen: Floats
    prior_hit: Floats
    prior_unseen: Floats

    def __len__(self) -> int:
        return len(self.items)


def padded(histories: Sequence[History], length: int) -> tuple[Ints, Floats, Floats]:
    """``items``, ``values``, ``ages_days`` of whole histories, as the model takes them."""
    items = np.zeros((len(histories), length), dtype=np.int64)
    values = np.zeros((len(histories), length), dtype=np.float32)
    ages = np.zeros((len(histories), length), dtype=np.float32)
    for row, history in enumerate(histories):
        kept = min(length, len(history))
        if kept:
            items[row, -kept:] = history.items[-kept:]
            values[row, -kept:] = history.values[-kept:]
            ages[row, -kept:] = (history.at_s[-1] - history.at_s[-kept:]) / SECONDS_PER_DAY
    return items, values, ages


def cross_fitted(
    histories: Sequence[History], size: int, content: sp.csr_matrix, config: RecommenderConfig, seed: int
) -> Examples:
    """Examples of all viewers: fold by fold, from tables that know nothing of the fold's viewers.

    Raises:
        TooLittleError: No history is long enough for one example.
    """
    fold_of = np.random.default_rng(seed).permutation(len(histories)) % config.folds
    sequences = [history.items for history in histories]
    folds = [np.flatnonzero(fold_of == fold) for fold in range(config.folds)]
    counted = [neighbours.count([sequences[int(v)] for v in fold], size) for fold in folds]
    made: list[Examples] = []
    for number, fold in enumerate(folds):
        rest = [part for other, part in enumerate(counted) if other != number]
        others = [sequences[int(v)] for v in np.flatnonzero(fold_of != number)]
        tables = neighbours.build(_sum(rest), others, content, width=config.width, ease_lambda=config.ease_lambda)
        made += list(_of_viewers([histories[int(v)] for v in fold], tables, config))
    if not made:
        raise TooLittleError(
            "no history is long enough to learn an order from",
            f"{len(histories)} histories, one of {config.earliest + 1} titles needed",
        )
    return Examples(*(np.concatenate([getattr(part, f.name) for part in made]) for f in fields(Examples)))


def _sum(parts: list[Counted]) -> Counted:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _of_viewers(histories: Sequence[History], tables: Tables, config: RecommenderConfig) -> Iterator[Examples]:
    prior = tables.prior()
    for history in histories:
        targets = range(max(config.earliest, len(history) - config.positions), len(history))
        if targets:
            yield _of_viewer(history, targets, tables, prior, config.history_length)


def _of_viewer(history: History, targets: range, tables: Tables, prior: Floats, length: int) -> Examples:
    first = max(0, targets[0] - length)
    items = history.items
    near = np.stack(
        [np.asarray(matrix[items[first:]][:, items].todense(), dtype=np.float32) for matrix in tables.matrices], axis=-1
    )
    known = np.stack([np.diff(matrix.indptr)[items[first:]] > 0 for matrix in tables.matrices], axis=-1)
    seen = np.cumsum(near, axis=1)
    prior_seen = np.cumsum(prior[items])
    hit = np.zeros((len(targets), length, near.shape[2]), dtype=np.float32)
    unseen = np.zeros_like(hit)
    for row, target in enumerate(targets):
        rows = slice(max(0, target - length) - first, target - first)
        kept = rows.stop - rows.start
        hit[row, -kept:] = near[rows, target]
        unseen[row, -kept:] = np.where(known[rows], np.maximum(1.0 - seen[rows, target - 1], 0.0), 0.0)
    items_, values, ages = padded([history.until(target) for target in targets], length)
    return Examples(
        items=items_,
        values=values,
        ages_days=ages,
        context=history.context[list(targets)],
        hit=hit,
        unseen=unseen,
        prior_hit=prior[items[list(targets)]],
        prior_unseen=(1.0 - prior_seen[[target - 1 for target in targets]]).astype(np.float32),
    )
