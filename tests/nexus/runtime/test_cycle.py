"""One real cycle with the three stores: start, look, kill, come back, lose the supervisor, stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nexus.runtime import processes
from nexus.settings import ROOT

pytestmark = pytest.mark.slow
STORES = ("postgres", "redis", "temporal")
ONLY = [word for name in STORES for word in ("--only", name)]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def nexus(tmp_path: Path) -> Iterator[Run]:
    """Runs a command of the CLI in a home of its own, and stops everything at the end."""
    environment = os.environ | {"NEXUS_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nexus.cli", *words]
        return subprocess.run(
            command, env=environment | more, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path
        )

    yield run
    run("down")
    assert processes.ours(tmp_path / "home") == {}


def _parts(nexus: Run) -> dict[str, dict[str, Any]]:
    said = nexus("status", "--json")
    assert said.returncode == 0, said.stderr
    return {part["name"]: part for part in json.loads(said.stdout)["parts"]}


def _comes_back(nexus: Run, name: str, old_pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        part = _parts(nexus)[name]
        if part["state"] == "running" and part["pid"] != old_pid:
            return True
    return False


def test_cycle__kill_each_store__all_come_back_and_stop_clean(nexus: Run, tmp_path: Path) -> None:
    started = nexus("up", *ONLY)
    assert started.returncode == 0, started.stdout + started.stderr
    parts = _parts(nexus)
    assert {name for name, part in parts.items() if part["state"] == "running"} == set(STORES)
    for name in STORES:
        psutil.Process(parts[name]["pid"]).kill()
        assert _comes_back(nexus, name, parts[name]["pid"]), f"{name} did not come back"
    assert _parts(nexus)["redis"]["restarts"] == 1

    again = nexus("up", *ONLY)
    assert again.returncode == 0, again.stdout + again.stderr

    supervisor = processes.ours(tmp_path / "home")["supervisor"][0]
    supervisor.kill()
    supervisor.wait(10)
    assert _parts(nexus)["redis"]["note"], "status says that nobody watches"
    mended = nexus("up", *ONLY)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert _parts(nexus)["redis"]["state"] == "running"

    stopped = nexus("down")
    assert stopped.returncode == 0
    assert processes.ours(tmp_path / "home") == {}
    assert {part["state"] for part in _parts(nexus).values()} == {"stopped"}


def test_up__port_asked_for_is_taken__names_it(nexus: Run, redis_server: str) -> None:
    port = redis_server.rpartition(":")[2].partition("/")[0]
    said = nexus("up", "--only", "redis", NEXUS_REDIS__PORT=port)
    assert said.returncode == 1
    assert "field: redis.port" in said.stderr
    assert f"value: {port}" in said.stderr
    assert "Traceback" not in said.stderr
