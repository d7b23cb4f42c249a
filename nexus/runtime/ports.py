"""Which port each part listens on.

Belongs here: looking for a free port and the rules of preference.
Does not belong here: who listens there (one file per part).
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from nexus.errors import Category, NexusError

# Above the well-known ports and below Linux's ephemeral range, where a client's own socket could sit on it.
LOWEST, HIGHEST = 10_000, 32_767


@dataclass(frozen=True, slots=True)
class Wish:
    """A port that a part would like.

    Args:
        name: The listener, as in ``temporal-ui``.
        preferred: The first choice; 0 means any.
        field: The setting it comes from, for the error; None when a person cannot set it.
        is_fixed: The person asked for this very port, so no other will do.
    """

    name: str
    preferred: int
    field: str | None = None
    is_fixed: bool = False


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


def _candidates(wish: Wish, remembered: int | None) -> Iterator[int]:
    if remembered and not wish.is_fixed:
        yield remembered
    if wish.preferred:
        yield wish.preferred
    start = wish.preferred if LOWEST <= wish.preferred <= HIGHEST else LOWEST
    yield from range(start + 1, HIGHEST + 1)
    yield from range(LOWEST, start)


def choose(
    wishes: list[Wish],
    remembered: Mapping[str, int],
    *,
    host: str = "127.0.0.1",
    promised: Collection[int] = (),
) -> dict[str, int]:
    """A free port for every wish, no two alike.

    Args:
        wishes: What is wanted, the most important first.
        remembered: Ports of the last time; taken again while they are free, so that URLs stay the same.
        host: The address to listen on.
        promised: Ports of parts that do not listen yet.

    Raises:
        NexusError: category ``conflict`` when a port that a person asked for is taken.
    """
    chosen: dict[str, int] = {}
    reserved = {wish.preferred for wish in wishes if wish.preferred}
    for wish in wishes:
        others = (reserved - {wish.preferred}) | set(chosen.values()) | set(promised)
        for port in _candidates(wish, remembered.get(wish.name)):
            if port not in others and is_free(port, host):
                chosen[wish.name] = port
                break
            if wish.is_fixed and port == wish.preferred and port:
                raise taken(wish, host)
        else:
            raise NexusError(
                f"no free port for {wish.name} between {LOWEST} and {HIGHEST}",
                category=Category.UNAVAILABLE,
                remedy="stop servers that you do not need",
            )
    return chosen


def taken(wish: Wish, host: str) -> NexusError:
    """The error for a port that was asked for and is in use."""
    name = (wish.field or wish.name).upper().replace(".", "__")
    return NexusError(
        f"port {wish.preferred} of {host} is taken by another program",
        category=Category.CONFLICT,
        field=wish.field or wish.name,
        value=wish.preferred,
        remedy=f"stop that program, or set NEXUS_{name} to another port (or to 0, for any free one)",
    )
