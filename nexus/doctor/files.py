"""Our own files: the state folder, who may read it, who is at work in it, Redis' journal.

Belongs here: checks of files that the runtime makes. Does not belong here: tables and models (data.py, training).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from nexus.doctor.finding import Finding
from nexus.doctor.machine import nearest
from nexus.errors import NexusError
from nexus.runtime import lock, postgres, processes, redis
from nexus.runtime.home import Home, read_json
from nexus.runtime.supervisor import Supervisor
from nexus.settings import Settings

_SECRET_FILES = ("secrets.json", "run/endpoints.json", "redis/redis.conf")


def folder(home: Home, user: Settings) -> Iterator[Finding]:
    """Whether it can be written, and by nobody else read."""
    there = nearest(home.root)
    is_writable = os.access(there, os.W_OK) and there.is_dir()
    said = str(home.root) if home.root.exists() else f"{home.root} (not made yet)"
    yield Finding("state folder", said, None if is_writable else "set NEXUS_HOME to a folder that you may write")
    if "://" not in user.lake_url and Path(user.lake_url).exists() and not os.access(user.lake_url, os.W_OK):
        yield Finding(
            "lake folder", f"{user.lake_url} cannot be written", "give it to this user, or set NEXUS_LAKE__URL"
        )
    for name in _SECRET_FILES:
        path = home.root / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding(name, "others may read its passwords", f"chmod 600 {path}", mend=partial(_close, path))
    for name in ("secrets.json", "run/ports.json"):
        path = home.root / name
        if path.exists() and not read_json(path):
            remedy = "restore it from a copy" if name == "secrets.json" else "run bin/nexus down, then bin/nexus up"
            yield Finding(name, "damaged: not JSON", remedy)
    if home.root.exists():
        try:
            postgres.run_as(home.root / "postgres" / "data")
        except NexusError as error:
            yield Finding("postgres user", error.message, error.remedy)


def _close(path: Path) -> str:
    path.chmod(0o600)
    return f"{path}: only you may read it now"


def at_work(home: Home, _user: Settings) -> Iterator[Finding]:
    """Another command that holds the lock, and a supervisor that is gone while its parts live."""
    path = home.run / "lock"
    if path.exists():
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, command = lock.holder(path)
                yield Finding(
                    "lock",
                    f"bin/nexus {command} is at work (pid {pid})",
                    "wait for it, or run bin/nexus down, which interrupts it",
                    is_warning=True,
                )
    if Supervisor(home).pid() is not None:
        yield Finding("supervisor", "running")
        return
    living = sorted(processes.ours(home.root))
    if living:
        said = f"gone, while {', '.join(living)} still run"
        yield Finding("supervisor", said, "run bin/nexus up, which puts them under a new one")
    elif (home.run / "supervisord.pid").exists():
        said = "everything ended at once (a power cut, a reboot, or kill -9)"
        yield Finding("supervisor", said, "run bin/nexus up; it goes on where it was", is_warning=True)


def journal(home: Home, user: Settings) -> Iterator[Finding]:
    """Redis' append-only file, unless Redis has it open."""
    if user.redis.url is not None or "redis" in processes.ours(home.root):
        return
    for path, damage in redis.damaged_journals(home.root / "redis"):
        yield Finding(
            "redis journal",
            f"{path.name} is damaged: {damage}",
            "run bin/nexus doctor --fix: a copy is kept, and Redis goes on with what is whole before the damage",
            mend=partial(redis.cut_journal, path),
        )
