"""Mints whose pins and keys are at services of others: a real second node behind a pinning service, a real signing service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from contracts.client.ipfs import cids
from contracts.client.ipfs.node import Ipfs
from nexus.runtime.command import Command
from nexus.settings import ROOT, PinService, Settings
from tests.conftest import _free_ports, _running
from tests.contracts.ipfs import pinning_adapter
from tests.contracts.ipfs.nodes import Node, second_kubo
from tests.workflows.web3 import Anvil, Mints, deployed, opened
from workflows.client import start_mint, start_rotate_signer
from workflows.web3_client import wait_for

__all__ = ["second_kubo"]
pytestmark = pytest.mark.integration

TOKEN = "a token of thirty-two characters"


@pytest.fixture
def pinning(second_kubo: Node) -> Iterator[str]:
    """URL of a pinning service with a node of its own."""
    words = [sys.executable, pinning_adapter.__file__, "--node", second_kubo.url, "--token", TOKEN]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@pytest.fixture
def signing(tmp_path: Path) -> Iterator[str]:
    """URL of a signing service without a key yet."""
    (port,) = _free_ports(1)
    words = (sys.executable, "-m", "contracts.remote_signer", "--folder", str(tmp_path / "remote"), "--port", str(port))
    secrets = {"NEXUS_SIGNER_TOKEN": TOKEN, "NEXUS_SIGNER_PASSWORD": "cd" * 20, "PYTHONPATH": str(ROOT)}
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/keys", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
        except httpx.HTTPError:
            return False

    with _running(Command(words, env=secrets, cwd=str(ROOT)), tmp_path / "log", answers):
        yield url


@pytest.fixture
def keyless(settings: Settings, anvil_node: Anvil, kubo: Node, signing: str, tmp_path: Path) -> Settings:
    """A home without a key of its own."""
    return deployed(settings, anvil_node, kubo, tmp_path / "home", signer_url=signing, signer_token=TOKEN)


@pytest.fixture
async def remote(keyless: Settings, anvil_node: Anvil) -> AsyncIterator[Mints]:
    async with opened(keyless, anvil_node) as found:
        yield found


def _stumble(url: str, times: int) -> None:
    httpx.post(f"{url}/faults", json=[{"status": 503}] * times, trust_env=False).raise_for_status()


def _stumbles_left(url: str) -> int:
    return int(httpx.get(f"{url}/faults", trust_env=False).json()["left"])


async def test_mint__two_pins_asked_for_and_a_service_that_is_down__waits_for_it_and_then_both_have_it(
    mints: Mints, second_kubo: Node, pinning: str
) -> None:
    friend = PinService(name="friend", url=pinning, token=TOKEN, gateway_url=second_kubo.gateway)
    web3 = mints.settings.web3.model_copy(update={"pin_services": (friend,), "pins_required": 2})
    both = replace(mints, settings=mints.settings.model_copy(update={"web3": web3}))
    content_id = await both.title()
    _stumble(pinning, 8)
    async with both.workers():
        operation_id = await start_mint(both.client, both.settings, content_id)
        status = await both.ended(operation_id, patience_s=90)
    assert status.state == "completed", status.error
    assert _stumbles_left(pinning) == 0
    assert status.result is not None
    token_id, contract = str(status.result["token_id"]), str(status.result["contract"])
    cid = cids.cid_of_token(int(token_id))
    async with Ipfs.of(both.settings) as ours, Ipfs(second_kubo.url) as theirs:
        assert await ours.is_pinned(cid)
        assert await theirs.is_pinned(cid)
    assert len(mints.anvil.transfers(contract, token_id)) == 1


async def test_rotate_signer__keys_at_a_service__mints_go_on_and_no_key_lies_at_home(remote: Mints) -> None:
    contents = [await remote.title() for _ in range(6)]
    old = set(await remote.lanes())
    async with remote.workers() as web3:
        first = [await start_mint(remote.client, remote.settings, one) for one in contents[:3]]
        rotation = await start_rotate_signer(remote.client, remote.settings)
        second = [await start_mint(remote.client, remote.settings, one) for one in contents[3:]]
        result = await wait_for(remote.client, rotation, patience_s=60)
        ended = [await remote.ended(operation_id) for operation_id in first + second]
        assert not await (await web3.media()).is_minter(result["retired"])
    assert [status.state for status in ended] == ["completed"] * len(contents)
    assert set(await remote.lanes()) == old - {result["retired"]} | {result["active"]}
    assert list((remote.settings.home / "keys").rglob("0x*.json")) == []
