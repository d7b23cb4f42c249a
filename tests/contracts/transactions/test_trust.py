"""Whom the manager believes: two endpoints of three, no signer that is silent, no node that refuses for good."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contracts.client.rpc.pool import Rpc
from contracts.client.transactions.model import Transaction
from nexus.errors import unavailable
from tests.contracts.transactions.conftest import World
from tests.contracts.transactions.test_faults import faulty

pytestmark = pytest.mark.integration


async def follow(world: World, manager: Any, key: str, looks: int = 8) -> Transaction:
    for _ in range(looks):
        world.node.mine(2)
        await manager.advance()
    found: Transaction = await manager.look(key)
    return found


@pytest.mark.parametrize("lie", ["forged", "no_receipt", "other_receipt"])
async def test_endpoints__one_of_three_lies__the_others_decide(world: World, tmp_path: Path, lie: str) -> None:
    await world.lane()
    with ExitStack() as stack:
        liar = stack.enter_context(faulty(world.node.url, tmp_path, {lie: 1.0}))
        honest = world.node.url.replace("127.0.0.1", "localhost")
        async with Rpc([world.node.url, honest, liar], world.chain, timeout_s=2) as rpc:
            manager = world.manager(rpc=rpc)
            await manager.submit(world.mint("a"))
            assert (await follow(world, manager, "mint-a")).state == "final"
    assert world.is_once("a")


async def test_endpoints__the_first_of_two_forges_a_failure__it_is_not_believed(world: World, tmp_path: Path) -> None:
    await world.lane()
    with faulty(world.node.url, tmp_path, {"forged": 1.0}) as liar:
        async with Rpc([liar], world.chain, timeout_s=2) as alone:
            await world.manager(rpc=alone).submit(world.mint("a"))
            assert (await world.manager(rpc=alone).step("mint-a")).state == "mined"
        ((is_reverted,),) = await world.rows("is_reverted")
        assert is_reverted
        async with Rpc([liar, world.node.url], world.chain, timeout_s=2) as rpc:
            manager = world.manager(rpc=rpc)
            assert (await follow(world, manager, "mint-a")).state == "mined"
    assert (await follow(world, world.manager(), "mint-a")).state == "final"
    assert world.is_once("a")


async def test_endpoints__one_of_two_refuses_sound_bytes__nothing_is_given_up(world: World, tmp_path: Path) -> None:
    await world.lane()
    with faulty(world.node.url, tmp_path, {"refused": 1.0}) as liar:
        async with Rpc([liar, world.node.url], world.chain, timeout_s=2) as rpc:
            manager = world.manager(rpc=rpc)
            await manager.submit(world.mint("a"))
            assert (await follow(world, manager, "mint-a")).state == "final"
    assert world.is_once("a")


class Silent:
    """A signing service of which one key does not answer."""

    def __init__(self, real: Any, silent: str) -> None:
        self._real, self._silent = real, silent

    def signer(self, address: str) -> Any:
        if address == self._silent:
            raise unavailable("the signing service does not answer", remedy="check web3.signer_url and the service")
        return self._real.signer(address)


async def test_signer__is_away__its_lane_waits_and_the_other_mints(world: World) -> None:
    silent, _ = await world.lane(), await world.lane()
    texts = ["a", "b", "c", "d"]
    outcomes = await world.manager(signers=Silent(world.keys, silent)).submit_many([world.mint(text) for text in texts])
    waiting = [one for one in outcomes if isinstance(one, Transaction) and one.state == "reserved"]
    assert {one.signer for one in waiting} == {silent}
    assert len(waiting) == 2
    assert all("signing service" in (one.reason or "") for one in waiting)

    await follow(world, world.manager(), "mint-a")
    assert {state for (state,) in await world.rows("state")} == {"final"}
    assert world.is_once(*texts)


async def test_nodes__refuse_the_bytes_for_good__nonce_is_used_up_and_the_lane_goes_on(world: World) -> None:
    lane = await world.lane()
    await world.manager(signers=Silent(world.keys, lane)).submit(world.mint("a"))
    await world.run(
        "update nexus_web3.transactions set gas_limit = 4000000000 where chain_id = %s", world.chain.chain_id
    )
    found = await follow(world, world.manager(), "mint-a")
    assert found.state == "cancelled"
    assert found.reason
    assert world.node.tokens(world.contract) == []
    await world.manager().submit(world.mint("b"))
    assert world.is_once("b")
