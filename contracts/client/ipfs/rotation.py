"""Who is asked next: sources in the order that they were given, failing ones later, liars not again soon.

Belongs here: the state of each source. Does not belong here: asking (reading).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contracts.client.ipfs.refusals import Figures, Refused
from contracts.client.ipfs.sources import Source
from nexus import logs

_LOG = logs.get(__name__)
OUT_S: Final = 3600.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(slots=True)
class _Standing:
    failures: int = 0
    rests_until: float = 0.0
    is_liar: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """How a source stands."""

    source: str
    state: Literal["well", "resting", "out"]
    failures: int


class Rotation:
    """The sources of one process.

    Args:
        sources: First choice first.
        figures: Where lies and failures are counted.
        out_s: For how long a liar is not asked.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        figures: Figures,
        *,
        out_s: float = OUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._standing = {source.name: _Standing() for source in sources}
        self._sources = tuple(sources)
        self._figures = figures
        self._out_s = out_s
        self._clock = clock

    def order(self) -> tuple[Source, ...]:
        """Whom to ask: those that do well, then those that rest after a failure; never one that is out."""
        now = self._clock()
        asked = [source for source in self._sources if not self._is_out(source.name, now)]
        return tuple(sorted(asked, key=lambda source: self._standing[source.name].rests_until > now))

    def did_well(self, source: Source) -> None:
        """It gave a block."""
        self._figures.blocks.labels(source.name).inc()
        self._standing[source.name].failures = 0
        self._standing[source.name].rests_until = 0.0

    def failed(self, source: Source, reason: str) -> None:
        """It gave nothing; it is asked after the others for a while, longer each time."""
        standing = self._standing[source.name]
        standing.failures += 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (standing.failures - 1))
        standing.rests_until = self._clock() + pause
        self._figures.failed.labels(source.name).inc()
        _LOG.info("ipfs_source_failed", source=source.name, reason=reason, rests_s=pause)

    def lied(self, source: Source, refused: Refused) -> None:
        """It gave something else than what was asked for: it is out at once, and counted."""
        standing = self._standing[source.name]
        standing.is_liar, standing.rests_until = True, self._clock() + self._out_s
        self._figures.refused.labels(source.name, refused.reason).inc()
        _LOG.warning("ipfs_source_put_out", source=source.name, reason=refused.reason, detail=refused.message)

    def show(self) -> tuple[Shown, ...]:
        """How each source stands."""
        now = self._clock()
        return tuple(
            Shown(
                name, "out" if self._is_out(name, now) else "resting" if one.rests_until > now else "well", one.failures
            )
            for name, one in self._standing.items()
        )

    def _is_out(self, name: str, now: float) -> bool:
        standing = self._standing[name]
        if standing.is_liar and standing.rests_until <= now:
            standing.is_liar = False  # it gets one more chance; another lie puts it out again
        return standing.is_liar
