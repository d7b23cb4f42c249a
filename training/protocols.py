"""The protocols: what a model may learn from, what it is asked, and the one sentence that goes with every figure.

Belongs here: making a :class:`Task` of a data set, by name. Does not belong here: how the larger ones are
made (training.held_out), ranking (training.evaluation), figures (training.metrics), models, reading data (training.files).

All of them rank the whole catalogue except what the viewer has met, count equal scores against the held-out title, and
draw nothing by the run's seed: whoever names the protocol and the data gets the same task.

=========================  =========================================================================================
``leave-one-out``          each viewer's last title; choices on the one before
``leave-one-out-timed``    the same, and models are told when the list is asked for
``global-time``            one instant divides the data: learned from what came before, asked for the last title after
``strong-generalisation``  viewers of whom nothing was learned (Liang et al. 2018, "Mult-VAE"), and their last title
``held-out-titles``        titles that nobody has met in what is learned from
=========================  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nexus.errors import not_found
from training import held_out
from training.dataset import Dataset, Split, leave_out
from training.tasks import Task, needs_times, words

__all__ = ["PROTOCOLS", "Protocol", "Task", "named", "task"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol by its name."""

    name: str
    explained: str
    make: Callable[[Dataset], Task]


def task(name: str, dataset: Dataset) -> Task:
    """What the protocol makes of the data.

    Raises:
        NexusError: category ``not_found`` for an unknown name, ``invalid`` where the data lack what it needs (times),
            ``conflict`` where there is too little to hold anything out.
    """
    return named(name).make(dataset)


def named(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        NexusError: category ``not_found``.
    """
    for protocol in PROTOCOLS:
        if protocol.name == name:
            return protocol
    raise not_found(
        "no such protocol",
        field="--protocol",
        value=name,
        remedy=f"one of {', '.join(protocol.name for protocol in PROTOCOLS)}",
    )


def _leave_one_out(dataset: Dataset) -> Task:
    validation = leave_out(dataset, last=2, name="validation")
    test = leave_out(dataset, last=1, name="test")
    short = [history for history in dataset.histories if len(history) == 1]
    pairs = [history.until(1) for history in dataset.histories if len(history) == 2]
    return Task(
        "leave-one-out",
        words(dataset, "leave-one-out: test = each viewer's last title, choices on the one before"),
        learn=(*validation.histories, *pairs, *short),
        validation=validation,
        relearn=(*test.histories, *short),
        test=test,
        viewers=tuple(v for v, history in zip(dataset.viewers, dataset.histories, strict=True) if len(history) > 1),
    )


def _leave_one_out_timed(dataset: Dataset) -> Task:
    needs_times(dataset, "leave-one-out-timed")
    plain = _leave_one_out(dataset)

    def timed(split: Split, last: int) -> Split:
        at = [history.at_s[-last] for history in dataset.histories if len(history) > last]
        return Split(split.name, split.histories, split.targets, split.contexts, np.array(at, dtype=np.float64))

    return Task(
        "leave-one-out-timed",
        words(dataset, "leave-one-out: test = each viewer's last title, choices on the one before", time="given"),
        learn=plain.learn,
        validation=timed(plain.validation, 2),
        relearn=plain.relearn,
        test=timed(plain.test, 1),
        viewers=plain.viewers,
    )


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol("leave-one-out", "each viewer's last title, choices on the one before", _leave_one_out),
    Protocol("leave-one-out-timed", "the same, and models are told when they are asked", _leave_one_out_timed),
    Protocol("global-time", "learned from what came before one instant, asked after it", held_out.global_time),
    Protocol("strong-generalisation", "viewers of whom nothing was learned", held_out.strong_generalisation),
    Protocol("held-out-titles", "titles that nobody had met", held_out.held_out_titles),
)
