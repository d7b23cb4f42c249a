"""How each part is, as people and other programs read it.

Belongs here: joining what the supervisor says, what the machine shows and what the service answers into one word.
Does not belong here: printing (nexus.cli).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from nexus.runtime import processes
from nexus.runtime.home import Home
from nexus.runtime.part import Part
from nexus.runtime.parts import NAMES, all_parts
from nexus.runtime.probes import NotReadyError
from nexus.runtime.state import known
from nexus.runtime.supervisor import NAME, ProcessInfo, Supervisor
from nexus.settings import Settings

_GRACE_S = 90.0


class PartState(StrEnum):
    """How a part is."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of ``bin/nexus status``; ``note`` says why it is not well."""

    name: str
    state: PartState
    url: str | None = None
    pid: int | None = None
    rss_bytes: int | None = None
    pss_bytes: int | None = None
    restarts: int = 0
    note: str | None = None


def collect(home: Home, user: Settings) -> list[PartStatus]:
    """The state of every part, each asked itself."""
    state = known(home, user)
    if state is None:
        return [PartStatus(name, PartState.STOPPED) for name in NAMES]
    parts = all_parts(state)
    infos = Supervisor(home).all()
    orphans = {} if infos else processes.ours(home.root)
    restarts = count_restarts(home)
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        return list(
            pool.map(
                lambda part: _one(part, infos.get(part.name), _oldest(orphans, part), restarts.get(part.name, 0)), parts
            )
        )


def _oldest(orphans: Mapping[str, list[Any]], part: Part) -> int | None:
    found = orphans.get(part.name)
    return found[0].pid if found else None


def _one(part: Part, info: ProcessInfo | None, orphan: int | None, restarts: int) -> PartStatus:
    if part.is_external:
        note = _ask(part)
        return PartStatus(part.name, PartState.FAILED if note else PartState.RUNNING, part.url, note=note)
    pid = (info.pid or None) if info else orphan
    state, note = _judge(part, info, pid)
    if orphan is not None and note is None:
        note = "not watched by the supervisor; bin/nexus up mends that"
    used = processes.memory(pid) if pid else None
    return PartStatus(
        part.name,
        state,
        part.url,
        pid,
        used.rss_bytes if used else None,
        used.pss_bytes if used else None,
        restarts,
        note,
    )


def _judge(part: Part, info: ProcessInfo | None, pid: int | None) -> tuple[PartState, str | None]:
    if info is not None and info.state == "FATAL":
        return PartState.FAILED, info.note
    if info is not None and info.state == "BACKOFF":
        return PartState.STARTING, info.note
    if pid is None:
        is_between = info is not None and info.state == "EXITED"
        return (PartState.STARTING if is_between else PartState.STOPPED), None
    note = _ask(part)
    if note is None:
        return PartState.RUNNING, None
    is_young = info is not None and time.time() - info.started_at < _GRACE_S
    return (PartState.STARTING if is_young else PartState.FAILED), note


def _ask(part: Part) -> str | None:
    try:
        part.probe()
    except NotReadyError as error:
        return str(error)
    return None


def count_restarts(home: Home) -> dict[str, int]:
    """How often each part ended unasked, by supervisord's log since its last start."""
    counts: dict[str, int] = {}
    try:
        lines = home.log(NAME).read_text(errors="replace").splitlines()
    except OSError:
        return counts
    for line in lines:
        if "supervisord started with pid" in line:
            counts.clear()
        elif " exited: " in line:
            name = line.partition(" exited: ")[2].split()[0]
            counts[name] = counts.get(name, 0) + 1
    return counts


def as_json(home: Home, statuses: list[PartStatus]) -> dict[str, Any]:
    """The contract of ``bin/nexus status --json``."""
    return {"home": str(home.root), "parts": [asdict(status) for status in statuses]}
