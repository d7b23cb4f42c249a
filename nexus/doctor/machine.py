"""The machine: Python, memory, disks, programs, ports, the clock.

Belongs here: checks that need no running part. Does not belong here: our own files (files.py).
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from nexus.doctor.finding import Finding
from nexus.errors import NexusError
from nexus.runtime.home import Home
from nexus.settings import Settings

LEAST_DISK_BYTES = 2_000_000_000
NEARLY_FULL_SHARE = 0.03
LEAST_INODES = 1_000
LEAST_MEMORY_BYTES = 3_000_000_000
CLOCK_SLACK_S = 60.0


def machine(home: Home, user: Settings) -> Iterator[Finding]:
    """Python, memory, programs, disks."""
    is_known = (3, 11) <= sys.version_info < (3, 14)
    yield Finding("python", platform.python_version(), None if is_known else "install Python 3.11, 3.12 or 3.13")
    yield _memory()
    yield from _programs()
    yield from _disks(home, user)


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available
    remedy = "close other programs; the platform and a training run take about 3 GB"
    return Finding(
        "memory", f"{free / 1e9:.1f} GB free", None if free >= LEAST_MEMORY_BYTES else remedy, is_warning=True
    )


def _programs() -> Iterator[Finding]:
    from nexus.runtime import postgres, redis, temporal

    programs: tuple[tuple[str, Callable[[], object]], ...] = (
        ("postgres", postgres.binaries), ("redis", redis.binary), ("temporal", temporal.binary),
    )  # fmt: skip
    for name, find in programs:
        try:
            yield Finding(f"{name} program", str(find()))
        except NexusError as error:
            yield Finding(f"{name} program", error.message, error.remedy)


def nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _disks(home: Home, user: Settings) -> Iterator[Finding]:
    """Every disk that holds state, once."""
    seen: set[int] = set()
    for name, place in (
        ("disk", str(home.root)),
        ("disk of the lake", user.lake_url),
        ("disk of models", user.bundle_url),
    ):
        if urlsplit(place).scheme:
            continue
        folder = nearest(Path(place))
        device = folder.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield _disk(name, folder)


def _disk(name: str, folder: Path) -> Finding:
    usage, files = shutil.disk_usage(folder), os.statvfs(folder)
    said = f"{usage.free / 1e9:.1f} GB free at {folder}"
    remedy = f"free some space on the disk of {folder}; nothing that was written is lost, and what stopped goes on"
    if files.f_files and files.f_favail < LEAST_INODES:
        return Finding(name, f"{files.f_favail} files can still be made at {folder}", remedy)
    if usage.free < min(LEAST_DISK_BYTES, usage.total * NEARLY_FULL_SHARE):
        return Finding(name, f"nearly full: {said}", remedy)
    is_small = usage.free < LEAST_DISK_BYTES
    return Finding(
        name,
        said,
        f"free some space; a training run writes up to {LEAST_DISK_BYTES / 1e9:.0f} GB" if is_small else None,
        is_warning=True,
    )


def listening(home: Home, user: Settings) -> Iterator[Finding]:
    """Ports that somebody else has taken, while the platform is down or up."""
    from nexus.runtime import ports, processes, state
    from nexus.runtime.home import read_json
    from nexus.runtime.supervisor import Supervisor

    remembered = {name: int(port) for name, port in read_json(home.run / "ports.json").items()}
    if Supervisor(home).pid() is not None:
        taken = processes.foreign(home.root, remembered.values())
        for name, port in remembered.items():
            if port in taken:
                yield Finding(
                    f"port {port}",
                    f"another program listens where {name} should",
                    "run bin/nexus up, which chooses another port",
                )
        return
    chosen = state.choices(home, user)
    for area, port_field, url_field in sorted(set(state.LISTENERS.values())):
        group = getattr(user, area)
        port = getattr(group, port_field)
        is_unused = area in state.CHOICES and area not in chosen
        if is_unused or getattr(group, url_field) not in (None, ()) or not port or ports.is_free(port):
            continue
        is_fixed = port_field in group.model_fields_set
        wish = ports.Wish(area, port, f"{area}.{port_field}", is_fixed)
        word = "it was asked for" if is_fixed else "another one will be used"
        remedy = ports.taken(wish, "127.0.0.1").remedy if is_fixed else None
        yield Finding(f"port {port}", f"taken by another program; {word} ({area})", remedy)


def clock(_home: Home, user: Settings, *, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Whether something was written later than now."""
    if urlsplit(user.lake_url).scheme:
        return
    newest = max(_commit_times(Path(user.lake_url)), default=0.0)
    ahead = newest - now()
    if ahead > CLOCK_SLACK_S:
        said = f"{_span(ahead)} behind the newest write in the lake"
        yield Finding("clock", said, "set the clock (NTP); events keep their order meanwhile, none is lost")
    else:
        yield Finding("clock", "not behind anything that was written")


def _commit_times(lake: Path) -> Iterator[float]:
    """When each table's newest commit says that it was made; the file's own time follows a copy."""
    for log in lake.glob("*/_delta_log"):
        commits = sorted(log.glob("*.json"))
        try:
            lines = commits[-1].read_text().splitlines() if commits else []
            facts = [json.loads(line).get("commitInfo") for line in lines]
        except (OSError, ValueError):
            continue
        yield from (fact["timestamp"] / 1000 for fact in facts if fact and "timestamp" in fact)


def _span(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours >= 1 else f"{seconds:.0f} seconds"
