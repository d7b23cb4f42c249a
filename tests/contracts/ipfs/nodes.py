"""Real Kubo nodes on loopback for tests, closed to the public network. Importable as a plugin: fixtures ``kubo``, ``second_kubo``."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from nexus.errors import NexusError
from nexus.runtime import kubo as programs
from nexus.runtime import ports
from nexus.runtime.kubo_repo import Ports, new_swarm_key, prepare

READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Node:
    """Where a node answers."""

    url: str
    gateway: str
    repo: Path


@contextmanager
def running(folder: Path, swarm_key: str, start: int) -> Iterator[Node]:
    """Start a node and end it in any case."""
    program = programs.Program((programs.kubo_binary(),), "kubo")
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))) or 0)
    first = start + worker * 1_000 + (os.getpid() % 90) * 10
    chosen = list(ports.choose([ports.Wish(f"ipfs-{n}", first + n) for n in range(3)], {}).values())
    command = prepare(program, folder / "repo", Ports(*chosen), swarm_key=swarm_key, is_public=False)
    node = Node(f"http://127.0.0.1:{chosen[0]}", f"http://127.0.0.1:{chosen[1]}", folder / "repo")
    with (folder / "log").open("wb") as out:
        process = command.popen(out)
    try:
        deadline = time.monotonic() + READY_S
        while not _answers(node.url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Kubo did not start:\n{(folder / 'log').read_text()[-2000:]}")
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        yield node
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.post(f"{url}/api/v0/id", timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def swarm_key() -> str:
    """What lets the nodes of this session meet, and no others."""
    return new_swarm_key()


def _or_skip() -> None:
    try:
        programs.kubo_binary()
    except NexusError as error:
        pytest.skip(f"Kubo cannot be had here: {error.message}")


@pytest.fixture(scope="session")
def kubo(tmp_path_factory: pytest.TempPathFactory, swarm_key: str) -> Iterator[Node]:
    """Our node."""
    _or_skip()
    with running(tmp_path_factory.mktemp("kubo"), swarm_key, 31_000) as node:
        yield node


@pytest.fixture(scope="session")
def second_kubo(tmp_path_factory: pytest.TempPathFactory, swarm_key: str) -> Iterator[Node]:
    """The node behind a pinning service; it has not met ours yet."""
    _or_skip()
    with running(tmp_path_factory.mktemp("second-kubo"), swarm_key, 36_000) as node:
        yield node
