"""What a check says: well, worth a look, or wrong; and what to do.

Belongs here: the shape of a finding and of a check. Does not belong here: any check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nexus.runtime.home import Home
from nexus.settings import Settings


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: What was looked at.
        said: How it is.
        remedy: What to do; set when it is not well.
        is_warning: It works, and still somebody should look.
        mend: Does what the remedy says, and says what it did; None: only a person can.
    """

    name: str
    said: str
    remedy: str | None = None
    is_warning: bool = False
    mend: Callable[[], str] | None = None

    @property
    def verdict(self) -> Verdict:
        """How it is, in one word."""
        if self.remedy is None:
            return Verdict.OK
        return Verdict.WARNING if self.is_warning else Verdict.FAILED

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "state": str(self.verdict),
            "said": self.said,
            "remedy": self.remedy,
            "is_mendable": self.mend is not None,
        }


Check = Callable[[Home, Settings], Iterator[Finding]]
