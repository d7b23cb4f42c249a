"""Our processes as the machine sees them: found by the marks in their environment, measured, ended.

Belongs here: look-ups through psutil and /proc. Does not belong here: what a part's state means (status.py).
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

HOME_MARK, PART_MARK = "NEXUS_HOME", "NEXUS_PART"


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process and its children; ``pss`` divides shared pages among those who share them."""

    rss_bytes: int
    pss_bytes: int | None


def ours(home: Path) -> dict[str, list[psutil.Process]]:
    """Every living process of this home by part, a part's oldest first; neither this process nor its ancestors."""
    skipped = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[str, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        if process.pid in skipped:
            continue
        try:
            marks = process.environ()
            if marks.get(HOME_MARK) != str(home) or PART_MARK not in marks:
                continue
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
        except (psutil.Error, OSError):
            continue
        found[marks[PART_MARK]].append(process)
    for processes in found.values():
        processes.sort(key=lambda process: (process.create_time(), process.pid))
    return dict(found)


def other_homes(home: Path) -> set[Path]:
    """Homes of this machine, but for ours, of which something runs now."""
    found: set[Path] = set()
    for process in psutil.process_iter():
        try:
            marks = process.environ()
        except (psutil.Error, OSError):
            continue
        if PART_MARK in marks and marks.get(HOME_MARK):
            found.add(Path(marks[HOME_MARK]))
    return found - {home}


def foreign(home: Path, ports: Iterable[int]) -> set[int]:
    """Those of the ports on which another program listens; one whose owner may not be seen counts as ours."""
    mine = {process.pid for found in ours(home).values() for process in found}
    wanted = set(ports)
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return set()
    held: dict[int, set[int | None]] = defaultdict(set)
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port in wanted:
            held[one.laddr.port].add(one.pid)
    return {port for port, pids in held.items() if None not in pids and not pids & mine}


def memory(pid: int) -> Memory | None:
    """Memory of a process and all its children; None when it is gone."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return None
    rss, pss = 0, 0
    is_pss_known = True
    for process in family:
        try:
            rss += process.memory_info().rss
        except psutil.Error:
            continue
        share = _pss(process.pid)
        is_pss_known = is_pss_known and share is not None
        pss += share or 0
    return Memory(rss, pss if is_pss_known else None)


def _pss(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except ProcessLookupError:
        return 0
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def end(processes: Iterable[psutil.Process], *, ask: int = signal.SIGTERM, patience_s: float = 5.0) -> int:
    """Ask processes to end, then make them; returns how many there were."""
    living = [process for process in processes if process.is_running()]
    for process in living:
        _send(process, ask)
    _, stubborn = psutil.wait_procs(living, timeout=patience_s)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=patience_s)
    return len(living)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return
