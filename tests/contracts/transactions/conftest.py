"""A chain of its own for each test: an anvil with its own chain id, NexusMedia on it, lanes with keys of a real keystore.

All tests share one database; rows are told apart by the chain id.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.owned_node import OWNER, OwnedNode, minting, token_of
from contracts.client.chains import CHAINS, Chain
from contracts.client.rpc.pool import Rpc
from contracts.client.signers.keystore import Keystore
from contracts.client.signers.model import Signers
from contracts.client.transactions.desk import Patience
from contracts.client.transactions.manager import Transactions
from contracts.client.transactions.model import Intent
from nexus.db.pool import AsyncPool, async_pool
from nexus.keyring import Keyring
from nexus.runtime.anvil import HISTORY, anvil_binary
from nexus.runtime.command import Command
from nexus.settings import Settings
from tests.conftest import _free_ports, _running

QUICK = Patience(poll_s=0.02, again_s=0.0, remind_s=0.0, sweep_every_s=0.0)
_CHAIN_IDS = itertools.count(77_000)


def answers(url: str) -> bool:
    """Whether a node is up."""
    import httpx

    node = OwnedNode(url)
    try:
        node.ask("eth_chainId")
    except httpx.HTTPError:
        return False
    finally:
        node.close()
    return True


@pytest.fixture
def chain() -> Chain:
    """The embedded chain's rules under a number of its own: final two blocks deep, replacements at once."""
    return replace(CHAINS["anvil"], chain_id=next(_CHAIN_IDS), depth=2, bump_after_s=0.0)


@pytest.fixture
def node(chain: Chain, tmp_path: Path) -> Iterator[OwnedNode]:
    """A fresh anvil that mines each transaction at once."""
    (port,) = _free_ports(1)
    options = ("--chain-id", str(chain.chain_id), "--silent", "--hardfork", "prague", *HISTORY)
    url = f"http://127.0.0.1:{port}"
    command = Command((anvil_binary(), "--port", str(port), *options))
    with _running(command, tmp_path / "anvil.log", lambda: answers(url)):
        owned = OwnedNode(url)
        yield owned
        owned.close()


@dataclass
class World:
    """What a test works with."""

    node: OwnedNode
    chain: Chain
    pool: AsyncPool
    keys: Keystore
    contract: str
    rpc: Rpc
    settings: Settings

    def manager(
        self, *, rpc: Any = None, pool: Any = None, signers: Signers | None = None, patience: Patience = QUICK
    ) -> Transactions:
        """A manager as a process of its own would have."""
        return Transactions(pool or self.pool, rpc or self.rpc, self.chain, signers or self.keys, patience=patience)

    async def lane(self, role: str = "minter", *, wei: int = 10**22) -> str:
        """A new key, funded, allowed to mint, and taken on."""
        address = await self.keys.make(role)
        self.node.fund(address, wei)
        self.node.let_mint(self.contract, address)
        await self.manager().enrol(address, role)
        self.node.mine(4)  # no reorganisation of a test reaches the grant
        return address

    def mint(self, text: str, **fields: Any) -> Intent:
        """A mint whose key and token come from a text."""
        return Intent(f"mint-{text}", self.contract, minting(OWNER, token_of(text)), **fields)

    def is_once(self, *texts: str) -> bool:
        """Whether exactly these tokens were minted, each once."""
        return sorted(self.node.tokens(self.contract)) == sorted(map(token_of, texts))

    async def rows(self, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of this chain, by nonce."""
        query = (
            f"select {columns} from nexus_web3.transactions where chain_id = %s and {where} order by signer, nonce, id"  # noqa: S608
        )
        async with self.pool.connection() as connection:
            return await (await connection.execute(query, (self.chain.chain_id,))).fetchall()

    async def run(self, statement: str, *values: Any) -> None:
        """A statement of a mean operator."""
        async with self.pool.connection() as connection:
            await connection.execute(statement, values)


@pytest.fixture
async def world(settings: Settings, node: OwnedNode, chain: Chain, tmp_path: Path) -> AsyncIterator[World]:
    """A chain with the contract on it and no lane yet."""
    keys = Keystore(tmp_path / "signers", Keyring(tmp_path / "keyring.json", "ab" * 20))
    async with async_pool(settings, "worker", min_size=2) as pool, Rpc([node.url], chain, timeout_s=2) as rpc:
        yield World(node, chain, pool, keys, node.deploy(), rpc, settings)
