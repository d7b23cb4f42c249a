"""Another program on a port that was ours: seen, and not kept."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.runtime import processes
from nexus.runtime.home import Home
from nexus.runtime.state import prepare
from nexus.settings import Settings

pytestmark = pytest.mark.integration
_LISTEN = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
    " print(s.getsockname()[1], flush=True); sys.stdin.read()"
)


def _listener(home: Path | None) -> subprocess.Popen[str]:
    """A program that listens; of a home when one is given."""
    marks = {processes.HOME_MARK: str(home), processes.PART_MARK: "redis"} if home else {}
    return subprocess.Popen(
        [sys.executable, "-c", _LISTEN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | marks,
    )


@pytest.mark.parametrize("is_ours", [True, False])
def test_foreign__somebody_listens__is_ours_only_with_our_mark(tmp_path: Path, is_ours: bool) -> None:
    with _listener(tmp_path if is_ours else None) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline())
        assert processes.foreign(tmp_path, [port, 1]) == (set() if is_ours else {port})
        program.communicate()
    assert processes.foreign(tmp_path, [port]) == set()


def test_prepare__a_running_parts_port_was_lost__another_one_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    home = Home(tmp_path)
    home.ensure()
    user = Settings(home=tmp_path)
    before = prepare(home, user).ports
    kept = prepare(home, user, running=frozenset({"redis"})).ports
    assert kept["redis"] == before["redis"]
    with socket.create_server(("127.0.0.1", before["redis"])):
        moved = prepare(home, user, running=frozenset({"redis"}), lost={before["redis"]}).ports
    assert moved["redis"] != before["redis"]


def test_prepare__another_platform_runs__its_ports_are_left_even_while_nobody_listens(tmp_path: Path) -> None:
    other, own = Home(tmp_path / "other"), Home(tmp_path / "own")
    for home in (other, own):
        home.ensure()
    theirs = prepare(other, Settings(home=other.root)).ports
    assert prepare(own, Settings(home=own.root)).ports == theirs  # of what does not run, nothing is known
    with _listener(other.root) as program:
        assert program.stdout is not None
        program.stdout.readline()
        ours = prepare(own, Settings(home=own.root)).ports
        program.communicate()
    assert set(ours.values()).isdisjoint(theirs.values())
