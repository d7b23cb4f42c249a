"""The state folder: private files, whole or not at all, and a socket that is never too long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nexus.errors import Category, NexusError
from nexus.runtime.home import Home, read_json, write_json
from nexus.runtime.lock import hold, holder

pytestmark = pytest.mark.unit


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.ensure()
    return made


def test_ensure__parent_is_a_file__names_folder_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NexusError) as caught:
        Home(tmp_path / "file" / "home").ensure()
    assert caught.value.category is Category.FORBIDDEN
    assert caught.value.field == "home"
    assert "NEXUS_HOME" in (caught.value.remedy or "")


def test_ensure__file_system_is_read_only__is_refused() -> None:
    with pytest.raises(NexusError, match="cannot be written"):
        Home(Path("/proc/nexus")).ensure()


def test_write_json__new_file__only_its_owner_reads_it(home: Home) -> None:
    path = home.run / "endpoints.json"
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_read_json__broken_file__is_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert read_json(tmp_path / "x.json") == {}


def test_socket__long_folder__is_short_and_stays_the_same(tmp_path: Path) -> None:
    home = Home(tmp_path / ("x" * 120))
    home.ensure()
    socket = home.socket()
    assert len(os.fsencode(socket)) < 108
    assert home.socket() == socket
    home.remove_socket()
    assert not socket.parent.exists()


def test_hold__held_by_another__names_its_pid(home: Home) -> None:
    path = home.run / "lock"
    with hold(path, "up"):
        with pytest.raises(NexusError, match=rf"another `nexus up` is at work \(pid {os.getpid()}\)"), hold(path, "up"):
            pass
        assert holder(path) == (os.getpid(), "up")


def test_hold__holder_is_gone__is_taken(home: Home) -> None:
    path = home.run / "lock"
    with hold(path, "up"):
        pass
    with hold(path, "down"):
        assert holder(path)[1] == "down"
