"""From an empty chain to one that can be minted on: once, again, after a wipe, and on a chain of others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from contracts.client import deploy, setup
from contracts.client.deploy import MEDIA, Plan
from contracts.client.media import Media
from contracts.client.setup import bring_about, missing
from contracts.client.site import ADMIN, Site, fund, in_use, opened, take_on
from contracts.client.transactions.model import Intent
from nexus.db import migrate
from nexus.errors import NexusError
from nexus.runtime import anvil, ports, probes
from nexus.runtime.fetched import QUIET, Errand
from nexus.settings import Settings

pytestmark = pytest.mark.integration
TOKEN = 1234567890


@dataclass
class Home:
    """A home with a chain that can be killed and wiped."""

    settings: Settings
    folder: Path
    program: str
    port: int
    process: psutil.Popen | None = None

    def start(self) -> None:
        """Start the chain."""
        command = anvil.command(self.program, self.folder, self.port, chain_id=31337, depth=2)
        with (self.folder.parent / "chain.log").open("ab") as log:
            self.process = psutil.Popen(
                command.argv, env=command.environment(), cwd=command.cwd, stdout=log, stderr=log
            )
        for _ in range(400):
            try:
                return probes.ask_chain([f"http://127.0.0.1:{self.port}"], 31337)
            except probes.NotReadyError:
                pass
            try:
                self.process.wait(0.05)
            except psutil.TimeoutExpired:
                continue
            pytest.fail((self.folder.parent / "chain.log").read_text()[-800:])
        return None

    def wipe(self) -> None:
        """Kill the chain and take away all it had."""
        self.stop()
        for path in self.folder.iterdir():
            path.unlink()
        self.start()

    def stop(self) -> None:
        """Kill the chain."""
        if self.process is not None and self.process.is_running():
            self.process.kill()
            self.process.wait(20)

    def run(self, errand: Errand = QUIET, *, is_embedded: bool = True) -> str:
        """The step of ``bin/nexus up``."""
        return setup.run(self.settings, errand, is_embedded=is_embedded)

    def asked(self, question: Callable[[Site], Any]) -> Any:
        """What a question to the site gives."""

        async def ask() -> Any:
            async with opened(self.settings, is_embedded=True) as site:
                return await question(site)

        return asyncio.run(ask())


@contextmanager
def _database(settings: Settings) -> Iterator[Settings]:
    """A database of its own on the session's server: chain 31337 is everybody's number."""
    url = settings.postgres.owner_url(driver="")
    name = f"setup_{os.getpid()}"
    with psycopg.connect(settings.postgres.owner_url(driver="", database="postgres"), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")
        connection.execute(f"create database {name}")
        own = settings.postgres.model_copy(
            update={"url": type(settings.postgres.url)(f"{url.rpartition('/')[0]}/{name}")}  # type: ignore[misc, call-arg]
        )
        yield settings.model_copy(update={"postgres": own})
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Iterator[Home]:
    try:
        program = anvil.anvil_binary()
    except NexusError as error:
        pytest.skip(f"no anvil here: {error.message}")
    port = ports.choose([ports.Wish("chain", 29_000 + os.getpid() % 900)], {})["chain"]
    with _database(settings) as own:
        migrate.upgrade(own)
        web3 = own.web3.model_copy(update={"enabled": True, "rpc_urls": (_secret(f"http://127.0.0.1:{port}"),)})
        keys = own.keys.model_copy(update={"password": _secret("a password of this test")})
        made = Home(
            own.model_copy(update={"home": tmp_path / "home", "web3": web3, "keys": keys}),
            tmp_path / "chain",
            program,
            port,
        )
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _secret(text: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(text)


async def _minted(site: Site) -> tuple[str | None, dict[str, str], list[bool]]:
    """Who owns the token, which contracts are in use, which lanes may mint."""
    used = await in_use(site)
    media = Media(site.rpc, used[MEDIA])
    lanes = [lane.address for lane in await site.transactions.lanes("minter")]
    return await media.owner_of(TOKEN), used, [await media.is_minter(lane) for lane in lanes]


async def _mint(site: Site) -> str:
    media = Media(site.rpc, (await in_use(site))[MEDIA])
    admin = (await site.transactions.lanes(ADMIN))[0].address
    await site.transactions.submit(Intent("a-mint", media.address, media.mint(admin, TOKEN)))
    await site.transactions.until_final("a-mint")
    return admin


def test_run__empty_then_again_then_wiped__has_the_same_contracts_lanes_and_tokens(home: Home) -> None:
    assert "14 transactions" in home.run()
    admin = home.asked(_mint)
    owner, used, may_mint = before = home.asked(_minted)
    assert owner is not None
    assert owner.lower() == admin
    assert set(used) == set(deploy.addresses(Plan.of(home.settings, admin)))
    assert may_mint == [True, True]

    assert home.run() == f"NexusMedia {used[MEDIA]}", "nothing was left to do"

    home.wipe()
    said: list[str] = []
    home.run(Errand(said.append))
    assert home.asked(_minted) == before
    assert any("wiped" in line for line in said)


def test_run__killed_half_way__goes_on_where_it_was(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup, "_mined", dead)
        with pytest.raises(KeyboardInterrupt):
            home.run()
    home.run()
    _, used, may_mint = home.asked(_minted)
    assert MEDIA in used
    assert may_mint == [True, True]


def test_run__other_royalty_afterwards__keeps_the_contract_that_has_the_tokens(home: Home) -> None:
    first = home.run().split()[1]
    web3 = home.settings.web3.model_copy(update={"royalty_bps": 100, "lanes": 3})
    home.settings = home.settings.model_copy(update={"web3": web3})
    assert home.run().split()[1].rstrip(",") == first.rstrip(",")
    assert home.asked(_minted)[2] == [True, True, True], "a lane more was wanted, and may mint"


def test_run__chain_of_others__sends_nothing_and_says_what_to_do(home: Home) -> None:
    assert home.run(is_embedded=False) == "anvil: nothing is deployed yet; run bin/nexus contracts deploy"
    assert (
        probes.http(
            f"http://127.0.0.1:{home.port}",
            body={"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockTransactionCountByNumber", "params": ["latest"]},
        )["result"]
        == "0x0"
    )

    async def deployed(site: Site) -> list[str]:
        people = await take_on(site)
        await fund(site.rpc, [people.admin])
        said: list[str] = []
        await bring_about(site, people, said.append)
        assert await missing(site, people) == []
        return said

    assert "deploy NexusMedia" in home.asked(deployed)
    assert home.run(is_embedded=False) == "anvil: complete"


def test_run__own_contract_that_is_none__is_refused_by_its_setting(home: Home) -> None:
    web3 = home.settings.web3.model_copy(update={"media_contract": "0x" + "12" * 20})
    home.settings = home.settings.model_copy(update={"web3": web3})
    with pytest.raises(NexusError) as caught:
        home.run()
    assert caught.value.field == "web3.media_contract"


def test_run__chain_is_away__is_unavailable(home: Home) -> None:
    home.stop()
    with pytest.raises(NexusError, match="does not answer"):
        home.run()
