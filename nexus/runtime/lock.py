"""One hand at a time on the parts of a home.

Belongs here: the lock that ``up``, ``down`` and ``reset`` hold while they work. The kernel drops it with its holder,
so a killed ``up`` leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nexus.errors import Category, NexusError

_POLL_S = 0.1


def holder(path: Path) -> tuple[int, str]:
    """Pid and command of whoever holds, or last held, the lock; (0, "") when unknown."""
    try:
        pid, _, command = path.read_text().strip().partition(" ")
        return int(pid), command
    except (OSError, ValueError):
        return 0, ""


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold(path: Path, command: str, *, wait_s: float = 0.0, is_interrupting: bool = False) -> Iterator[None]:
    """Hold the lock while the block runs.

    Args:
        path: The lock file.
        command: What is at work, for whoever comes second.
        wait_s: How long to wait for the holder.
        is_interrupting: Ask the holder to stop first (``down`` during ``up``).

    Raises:
        NexusError: category ``conflict`` when somebody else holds it, naming the holder.
    """
    with path.open("a+") as file:
        path.chmod(0o600)
        if not _try(file):
            pid, work = holder(path)
            if is_interrupting and pid:
                _interrupt(pid)
            deadline = time.monotonic() + wait_s
            while not _try(file):
                if time.monotonic() >= deadline:
                    raise NexusError(
                        f"another `nexus {work or 'up'}` is at work (pid {pid})",
                        category=Category.CONFLICT,
                        field="home",
                        value=path.parent.parent,
                        remedy="wait until it is done (bin/nexus status shows how far it is), or run bin/nexus down",
                    )
                time.sleep(_POLL_S)
        file.truncate(0)
        file.write(f"{os.getpid()} {command}\n")
        file.flush()
        yield


def _interrupt(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
