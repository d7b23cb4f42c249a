"""Faults that need a socket or a server's own program."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from nexus.doctor import files, machine, parts
from nexus.runtime import ports, redis
from nexus.runtime.home import Home
from nexus.runtime.state import prepare, user_settings
from nexus.settings import Settings

pytestmark = pytest.mark.integration
_WHOLE = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n" * 20


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.ensure()
    return made


@pytest.mark.parametrize("damage", [b"*3\r\n$3\r\nSET\r\n$9\r\nunfin", b"\xff\xff\xff" + _WHOLE])
def test_journal__damaged__is_cut_and_a_copy_is_kept(home: Home, damage: bytes) -> None:
    journal = home.root / "redis" / "appendonly.aof"
    journal.parent.mkdir()
    journal.write_bytes(_WHOLE + damage)
    user = Settings(home=home.root)
    (found,) = files.journal(home, user)
    assert "appendonly.aof is damaged" in found.said
    assert found.mend is not None
    assert "is kept as" in found.mend()
    assert journal.read_bytes() == _WHOLE
    (copy,) = journal.parent.glob("*.damaged-*")
    assert copy.read_bytes() == _WHOLE + damage
    assert list(files.journal(home, user)) == []


def test_listening__a_port_that_was_asked_for_is_taken__names_the_setting(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        (found,) = [f for f in machine.listening(home, Settings(home=home.root, redis={"port": port})) if f.remedy]
        assert str(port) in found.name
        assert "NEXUS_REDIS__PORT" in str(found.remedy)
    assert [f for f in machine.listening(home, Settings(home=home.root, redis={"port": port})) if f.remedy] == []


def test_parts__own_server_does_not_answer__names_url_and_setting(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(home.root))
    (port,) = ports.choose([ports.Wish("nobody", 0)], {}).values()
    monkeypatch.setenv("NEXUS_MLFLOW__URL", f"http://127.0.0.1:{port}")
    user = user_settings()
    prepare(home, user)
    (found,) = [finding for finding in parts.parts(home, user) if finding.name == "mlflow"]
    assert "does not answer" in found.said
    assert "NEXUS_MLFLOW__URL" in str(found.remedy)


def test_checker__of_redis__is_the_server_by_another_name(tmp_path: Path) -> None:
    whole = tmp_path / "appendonly.aof"
    whole.write_bytes(_WHOLE)
    assert redis.damaged_journals(tmp_path) == []
    said = subprocess.run([redis.binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert "v=" in said
