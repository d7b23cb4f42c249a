"""What a part is, and the marks by which its process is found.

Belongs here: the shape of a part, names of steps between parts. Does not belong here: any part (parts.py, web3.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from nexus.runtime import processes
from nexus.runtime.command import Command
from nexus.runtime.fetched import Errand
from nexus.runtime.probes import Probe
from nexus.runtime.state import State

MIGRATION = "migration"
"""A step between parts: the database has its schemas."""
CONTRACTS = "contracts"
"""A step after the chain: keys, contracts, roles (contracts.client.setup)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Args:
        name: As in ``bin/nexus status``.
        url: Where a person or a client finds it; no secrets.
        probe: Returns when the part answers.
        make: Prepares its folder and gives its command; None for a server that a person runs themselves.
        needs: Parts (or the migration) that come first.
        asks: Parts through which the probe asks; started too, but not waited for.
        stop_signal: Asks it to end.
        stop_s: How long it may take to end.
        is_group_stopped: Whether its children are asked too.
        fetch: Gets its program where that takes time; told to say so.
    """

    name: str
    url: str | None
    probe: Probe
    make: Callable[[], Command] | None = None
    needs: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_s: int = 10
    is_group_stopped: bool = True
    fetch: Callable[[Errand], None] | None = None

    @property
    def is_external(self) -> bool:
        """Whether a person runs it."""
        return self.make is None


def marked(state: State, part: str, env: dict[str, str]) -> dict[str, str]:
    """The environment of a part: what a person set for NEXUS, the part's own, and the marks we find it by."""
    theirs = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("NEXUS_") and not name.startswith(("NEXUS_TEST_", "NEXUS_NO_SKIP", "NEXUS_ENDPOINTS"))
    }
    return theirs | env | {processes.HOME_MARK: str(state.home.root), processes.PART_MARK: part}


def with_marks(state: State, part: str, command: Command) -> Command:
    """A command with the marks by which its process is found."""
    return Command(command.argv, marked(state, part, dict(command.env)), command.cwd, command.user)
