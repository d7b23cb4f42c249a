"""What is remembered of a chain that is read, and what keeps it.

Belongs here: values, which blocks are remembered. Does not belong here: reading (follow.py), the lake (journal.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from contracts.client.logs.values import Header, Key, Log, Point

_DENSE = 32


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract whose logs are read.

    Attributes:
        name: As in ``nexus_web3.contracts``.
        address: In small letters.
        first_block: Where its logs may begin.
    """

    name: str
    address: str
    first_block: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """How far a chain was read.

    Attributes:
        life: Name of the chain's first block.
        at: The last block that was read.
        anchors: Blocks that were read, newest first: all of the last ones, then ever fewer.
        contracts: Address -> name of the contracts that were read so far.
        floor: The block below the first one that was read.
        final: The highest final block when it was read.
        last_log: The highest block with a log of ours.
    """

    life: str
    at: Point
    anchors: tuple[Point, ...]
    contracts: Mapping[str, str]
    floor: int
    final: int
    last_log: int = -1

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        points = [[point.number, point.hash] for point in self.anchors]
        return asdict(self) | {"at": [self.at.number, self.at.hash], "anchors": points, "contracts": {**self.contracts}}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> State:
        """The opposite of :meth:`as_json`."""
        anchors = tuple(Point(*point) for point in said["anchors"])
        return cls(**{**said, "at": Point(*said["at"]), "anchors": anchors})


class Journal(Protocol):
    """Where logs are kept; a commit is all or nothing, and only the next one is taken."""

    def state(self) -> State | None:
        """The position of the last commit; what is asked next belongs to it."""
        ...

    def live(self, life: str, above: int) -> dict[Key, Log]:
        """Logs above a height that were read and not retracted."""
        ...

    def commit(self, state: State, new: Sequence[tuple[Log, Header]], gone: Sequence[Log], reason: str) -> None:
        """Keep new logs, retract others, move the position.

        Raises:
            NexusError: ``conflict``, field ``follows``: somebody else committed since :meth:`state`.
        """
        ...


@dataclass
class Followed:
    """What reading a chain did.

    Attributes:
        rows: New logs.
        orphaned: Logs that were retracted.
        commits: Commits made.
        state: Where it stands now.
        head: The newest block.
        previous_life: The first block's name before, when the chain began anew.
        forks: Reorganisations: the block both branches have, how deep, whether below what was final, logs retracted.
        is_behind: The node has not even what was read before.
        unproven: Blocks that nobody could prove to be silent.
        omitted: Logs that a node left out and a proof brought back.
        tries: Answers that did not fit together and were asked again.
    """

    rows: int = 0
    orphaned: int = 0
    commits: int = 0
    state: State | None = None
    head: int = -1
    previous_life: str | None = None
    forks: list[dict[str, Any]] = field(default_factory=list)
    is_behind: bool = False
    unproven: int = 0
    omitted: int = 0
    tries: int = 0


def thinned(end: Point, new: Sequence[Point], old: Sequence[Point]) -> tuple[Point, ...]:
    """Anchors below a block, newest first: the last ones all, then one for each doubling of the distance, and the lowest."""
    by_number = {point.number: point for point in (*old, *new, end) if point.number <= end.number}
    kept: dict[int, Point] = {}
    for number in sorted(by_number):  # the lowest of each step, so that it stays the same one for long
        distance = end.number - number
        step = distance if distance < _DENSE else _DENSE + distance.bit_length()
        kept.setdefault(step, by_number[number])
    kept[-1] = by_number[min(by_number)]
    return tuple(sorted(set(kept.values()), key=lambda point: -point.number))
