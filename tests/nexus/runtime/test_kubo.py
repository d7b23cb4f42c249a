"""The embedded IPFS node: closed to everybody else, and back after ``kill -9`` with what it had."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from nexus.errors import NexusError
from nexus.runtime import kubo, kubo_repo, ports, probes

pytestmark = pytest.mark.integration
KEY = "5a" * 32
PIECE = b"what was pinned"


@pytest.fixture
def program() -> kubo.Program:
    try:
        return kubo.find()
    except NexusError as error:
        pytest.skip(f"no IPFS node here: {error.message}")


@pytest.fixture
def listening() -> kubo_repo.Ports:
    first = 28_000 + os.getpid() % 900
    chosen = ports.choose([ports.Wish(f"ipfs-{number}", first + number) for number in range(3)], {})
    return kubo_repo.Ports(*chosen.values())


@contextmanager
def _node(program: kubo.Program, repo: Path, listening: kubo_repo.Ports) -> Iterator[psutil.Popen]:
    command = kubo_repo.prepare(program, repo, listening, swarm_key=KEY, is_public=False)
    with (repo.parent / "ipfs.log").open("ab") as log:
        process = psutil.Popen(
            command.argv, env=command.environment(), cwd=command.cwd, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            try:
                probes.ask_ipfs(f"http://127.0.0.1:{listening.api}")
                break
            except probes.NotReadyError:
                assert process.is_running(), (repo.parent / "ipfs.log").read_text()[-1000:]
            try:
                process.wait(0.1)
            except psutil.TimeoutExpired:
                continue
        yield process
    finally:
        if process.is_running():
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _ask(listening: kubo_repo.Ports, path: str, part: bytes | None = None) -> bytes:
    body = (
        b""
        if part is None
        else b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: application/octet-stream\r\n\r\n'
        + part
        + b"\r\n--b--\r\n"
    )
    headers = {} if part is None else {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"http://127.0.0.1:{listening.api}/api/v0/{path}", body, headers, method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        found: bytes = answer.read()
    return found


def test_node__killed_and_started_again__has_what_was_pinned(
    program: kubo.Program, tmp_path: Path, listening: kubo_repo.Ports
) -> None:
    repo = tmp_path / "ipfs"
    with _node(program, repo, listening) as process:
        added = json.loads(
            _ask(listening, "add?cid-version=1&raw-leaves=true&pin=true&cid-base=base32", PIECE).splitlines()[-1]
        )
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    with _node(program, repo, listening):
        assert _ask(listening, f"cat?arg={added['Hash']}&timeout=5s") == PIECE


def test_node__closed__opens_no_socket_but_on_loopback_and_knows_nobody(
    program: kubo.Program, tmp_path: Path, listening: kubo_repo.Ports
) -> None:
    repo = tmp_path / "ipfs"
    with _node(program, repo, listening) as process:
        family = [process, *process.children(recursive=True)]
        used = [one for member in family for one in member.net_connections(kind="inet")]
        assert json.loads(_ask(listening, "bootstrap/list"))["Peers"] in (None, [])
        assert not json.loads(_ask(listening, "swarm/peers")).get("Peers")
    assert {one.laddr.ip for one in used} == {"127.0.0.1"}
    assert {one.raddr.ip for one in used if one.raddr} <= {"127.0.0.1"}
    assert {listening.api, listening.gateway, listening.swarm} <= {one.laddr.port for one in used}
    assert (repo / "swarm.key").stat().st_mode & 0o077 == 0


def test_prepare__again_on_other_ports__keeps_identity_and_what_a_person_changed(
    program: kubo.Program, tmp_path: Path
) -> None:
    repo = tmp_path / "ipfs"
    kubo_repo.prepare(program, repo, kubo_repo.Ports(1, 2, 3), swarm_key=KEY, is_public=False)
    first = json.loads((repo / "config").read_text())
    first.setdefault("Internal", {})["Mine"] = 1
    (repo / "config").write_text(json.dumps(first))
    kubo_repo.prepare(program, repo, kubo_repo.Ports(4, 5, 6), swarm_key=KEY, is_public=False)
    second = json.loads((repo / "config").read_text())
    assert second["Identity"]["PeerID"] == first["Identity"]["PeerID"]
    assert second["Internal"]["Mine"] == 1
    assert second["Addresses"]["API"] == "/ip4/127.0.0.1/tcp/4"
