"""NexusMedia on an anvil of a test's own, which may be reorganised, wiped and restarted.

Belongs here: deploying, minting, fixtures. Import ``own_anvil`` into a conftest to use it elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pytest

from contracts.client.artifacts import load
from contracts.client.chains import CHAINS, Chain
from contracts.client.contract import role_of
from contracts.client.logs.follow import Follower
from contracts.client.logs.journal import LakeJournal
from contracts.client.logs.reader import Reader
from contracts.client.logs.state import Contract, Followed
from contracts.client.rpc.pool import Rpc
from contracts.devnode import DevNode, running
from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake

CHAIN: Chain = CHAINS["anvil"]


@dataclass
class MediaNode:
    """A node with a NexusMedia whose minter is the node's first account."""

    node: DevNode
    address: str = ""

    @classmethod
    def on(cls, node: DevNode) -> Self:
        media, me = load("NexusMedia"), node.accounts[0]
        receipt = node.send(None, media.creation("NEXUS Media", "NEXUS", "", me, me, 500))
        address = str(receipt.contract)
        node.send(address, media.call("grantRole(bytes32,address)", role_of("MINTER_ROLE"), me))
        return cls(node, address)

    def mint(self, *tokens: int, to: int = 0) -> int:
        """Mint to one of the node's accounts; the block's number."""
        owner = self.node.accounts[to]
        calls = [load("NexusMedia").call("mint(address,uint256)", owner, token) for token in tokens]
        return [self.node.send(self.address, call).block_number for call in calls][-1]

    def transfer(self, token: int, to: int) -> None:
        """From the first account to another."""
        me, other = self.node.accounts[0], self.node.accounts[to]
        self.node.send(self.address, load("NexusMedia").call("transferFrom(address,address,uint256)", me, other, token))

    def reorganise(self, depth: int) -> None:
        """Empty blocks instead of the last ones."""
        self.node.call("anvil_reorg", [depth, []])

    def follow(self, lake: Lake, url: str | None = None) -> Followed:
        return asyncio.run(self._follow(lake, url or self.node.url))

    async def _follow(self, lake: Lake, url: str) -> Followed:
        async with Rpc([url], CHAIN, timeout_s=2) as rpc:
            contracts = (Contract("NexusMedia", self.address),)
            return await Follower(Reader(rpc), LakeJournal(lake, CHAIN.chain_id), contracts, pause_s=0.02).follow()


@pytest.fixture
def own_anvil() -> Iterator[DevNode]:
    """A node that no other test sees."""
    try:
        context = running()
        node = context.__enter__()
    except NexusError as error:
        if error.category is not Category.UNAVAILABLE:
            raise
        pytest.skip(f"no anvil here: {error.message}")
    try:
        yield node
    finally:
        context.__exit__(None, None, None)
