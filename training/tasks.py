"""What a protocol makes of a data set, and what all protocols share: rows of a split, the words, what is refused.

Belongs here: the task, helpers of its makers. Does not belong here: any one protocol (training.protocols, training.held_out).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from nexus.errors import Category, NexusError, invalid
from training.dataset import Dataset, History, Split
from training.metrics import Sets

SEED = 98765
"""Of what a protocol draws (the seed of the Mult-VAE split); never the run's."""
SHARE = 0.1
"""Of viewers, titles or events that are held out for the test; as many again for choices."""


@dataclass(frozen=True)
class Task:
    """What a protocol makes of a data set.

    Attributes:
        name: As given to ``--protocol``.
        words: Said with each table: what is ranked, the tie rule, the seen filter, the time, the data hash.
        learn: What a model may learn from when it is judged on ``validation``.
        validation: Where choices are made.
        relearn: What it may learn from when judged on ``test``.
        test: What it is asked in the end.
        viewers: Of each test row, in the data's own ids.
        sets: Several held-out titles per viewer at once; None where the protocol has one.
        unseen: Titles (``[N+1]``) that are in no history of ``relearn``; None where that is not the question.
    """

    name: str
    words: str
    learn: tuple[History, ...]
    validation: Split
    relearn: tuple[History, ...]
    test: Split
    viewers: tuple[str, ...]
    sets: Sets | None = None
    unseen: npt.NDArray[np.bool_] | None = None


def asked(rows: list[tuple[str, History, int]], name: str, *, is_time_given: bool = False) -> Split:
    """Rows of ``(viewer, history, place of the target)``."""
    if not rows:
        raise too_little(name, "no viewer is left to be asked", "viewers with two titles each")
    return Split(
        name,
        tuple(history.until(end) for _, history, end in rows),
        np.array([history.items[end] for _, history, end in rows], dtype=np.int64),
        np.stack([history.context[end] for _, history, end in rows]),
        np.array([history.at_s[end] for _, history, end in rows], dtype=np.float64) if is_time_given else None,
    )


def only(history: History, keep: npt.NDArray[np.bool_]) -> History:
    """The entries of a history that are marked, ``keep`` ``[len]``."""
    return History(history.items[keep], history.values[keep], history.at_s[keep], history.context[keep])


def some(histories: Iterable[History]) -> tuple[History, ...]:
    """Those that are not empty."""
    return tuple(history for history in histories if len(history))


def met_before(history: History, at_s: float) -> int:
    """How many titles of a history were met before an instant."""
    return int(np.searchsorted(history.at_s, at_s, side="left"))


def instant(at_s: float) -> str:
    """Seconds since 1970 for a person."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def needs_times(dataset: Dataset, name: str) -> None:
    """Refuse data without times.

    Raises:
        NexusError: category ``invalid``.
    """
    if not dataset.has_times:
        raise invalid(
            "the data do not say when anything happened",
            field="--protocol",
            value=name,
            remedy="give data with a column of times, or take --protocol leave-one-out",
        )


def too_little(name: str, found: str, needed: str) -> NexusError:
    """The error for data of which nothing can be held out."""
    return NexusError(
        "there is too little to hold anything out",
        category=Category.CONFLICT,
        field=name,
        value=found,
        remedy=f"give data with at least {needed}, or another --protocol",
    )


def words(dataset: Dataset, held_out: str, *, viewers: int | None = None, time: str = "not given") -> str:
    """The sentence that goes with every figure of a protocol."""
    count = sum(len(history) > 1 for history in dataset.histories) if viewers is None else viewers
    return (
        f"{held_out}; ties by {dataset.tie_rule}; all {dataset.size - 1} titles ranked except those the viewer met; equal "
        f"scores count against the held-out title; time of the request {time}; {count} viewers; data {dataset.data_hash}"
    )
