"""Each identity that Postgres can take on as root makes a cluster and serves it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from nexus.runtime import postgres

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else; NEXUS_TEST_ROOT"),
]


@pytest.mark.parametrize("mode", ["0755", "0700"])
def test_initialise__folder_open_or_closed_to_others__makes_a_cluster(tmp_path: Path, mode: str) -> None:
    closed = tmp_path / "parent"
    closed.mkdir()
    closed.chmod(int(mode, 8))
    data = closed / "data"
    identity = postgres.run_as(data)
    assert postgres.initialise(data, postgres.new_password(), identity)
    assert not postgres.initialise(data, postgres.new_password(), identity)
    assert (data / "PG_VERSION").exists()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed; NEXUS_TEST_SETPRIV")
def test_run_as__no_user_name_spaces__opens_the_way_with_one_capability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(postgres.shutil, "which", lambda name: None if name == "unshare" else which(name))
    tmp_path.chmod(0o700)
    data = tmp_path / "data"
    identity = postgres.run_as(data)
    assert identity.prefix[0] == "setpriv"
    assert postgres.initialise(data, postgres.new_password(), identity)
    with (tmp_path / "log").open("wb") as log:
        server = postgres.command(data, 0, identity).popen(log)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) is not None
