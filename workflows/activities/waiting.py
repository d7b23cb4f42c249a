"""Waiting without holding a slot: an activity that has nothing new to say ends at once and is tried again later.

The server keeps the time of the next try and writes no history for it, so a transaction may be watched for months.
Does not belong here: what is waited for; the workflow's side (workflows.patience).
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Protocol, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from workflows.web3_messages import Situation

LONGEST_S = 30.0
SHORTEST_S = 0.25
GROWTH = 1.25
WAITING_TYPE = "waiting"
# A part that blinks is not worth a line to a person.
_PATIENT_ATTEMPTS = 3


class Viewed(Protocol):
    """An answer that can be compared with the one before."""

    @property
    def situation(self) -> Situation:
        """What is compared."""
        ...


View = TypeVar("View", bound=Viewed)


def when_changed(view: View, known: Situation | None, *, pace_s: float = 1.0) -> View:
    """The answer, if it is news; otherwise the activity ends here and is tried again.

    Args:
        view: What was found.
        known: What the workflow knows.
        pace_s: How often something may change, as a chain's time between blocks; first looks are as quick as that.

    Raises:
        ApplicationError: Of the type ``waiting``, with the time of the next try.
    """
    if known is None or view.situation != known:
        return view
    raise waiting(view.situation.detail or view.situation.state, pace_s=pace_s)


def is_worth_telling() -> bool:
    """Whether what is away has been away for some tries."""
    return activity.info().attempt >= _PATIENT_ATTEMPTS


def waiting(why: str, *, pace_s: float = 1.0) -> ApplicationError:
    """What ends an attempt that has to be made again later."""
    return ApplicationError(
        why,
        type=WAITING_TYPE,
        next_retry_delay=timedelta(seconds=pause_s(activity.info().attempt, pace_s)),
        category=ApplicationErrorCategory.BENIGN,
    )


def pause_s(attempt: int, pace_s: float) -> float:
    """Seconds until the next look: a third of the pace at first, half a minute at last, never all at once."""
    first = max(SHORTEST_S, pace_s / 3)
    grown = min(LONGEST_S, first * GROWTH ** min(attempt - 1, 40))
    return grown * random.uniform(0.85, 1.15)  # noqa: S311 - no secret
