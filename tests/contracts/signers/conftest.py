"""Both places that hold keys, behind one interface: files of our own, and a real process that speaks the protocol."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from contracts.client.signers.keystore import Keystore
from contracts.client.signers.model import Signers
from contracts.client.signers.remote import RemoteSigner
from nexus.keyring import Keyring
from nexus.runtime.command import Command
from nexus.settings import ROOT
from tests.conftest import _free_ports, _running

TOKEN, PASSWORD = "a token of thirty-two characters", "cd" * 20


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys", Keyring(tmp_path / "keyring.json", PASSWORD))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running signing service."""
    (port,) = _free_ports(1)
    folder = tmp_path_factory.mktemp("remote")
    words = ("-m", "contracts.remote_signer", "--folder", str(folder), "--port", str(port))
    secrets = {"NEXUS_SIGNER_TOKEN": TOKEN, "NEXUS_SIGNER_PASSWORD": PASSWORD, "PYTHONPATH": str(ROOT)}
    command = Command((sys.executable, *words), env=secrets, cwd=str(ROOT))

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/keys", trust_env=False).status_code == 401
        except httpx.HTTPError:
            return False

    with _running(command, folder / "log", answers):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def remote(service: str) -> AsyncIterator[RemoteSigner]:
    signers = RemoteSigner(service, SecretStr(TOKEN))
    yield signers
    await signers.close()


@pytest.fixture(params=["keystore", "remote"])
def signers(request: pytest.FixtureRequest) -> Signers:
    """Each in turn."""
    found: Signers = request.getfixturevalue(request.param)
    return found
