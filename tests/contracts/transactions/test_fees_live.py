"""Offers that are raised, ceilings, cancellations: on a chain that does not mine by itself."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from nexus.errors import NexusError
from tests.contracts.transactions.conftest import World

pytestmark = pytest.mark.integration
GWEI = 10**9


async def attempts(world: World, columns: str) -> list[tuple[object, ...]]:
    async with world.pool.connection() as connection:
        query = f"select {columns} from nexus_web3.attempts where chain_id = %s order by nonce, number"  # noqa: S608
        return await (await connection.execute(query, (world.chain.chain_id,))).fetchall()


def leave_waiting(world: World, base_fee_gwei: int) -> None:
    """From now on blocks come and are too dear."""
    world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(base_fee_gwei * GWEI))


async def test_waiting__blocks_go_by_without_it__is_replaced_by_a_higher_offer(world: World) -> None:
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    manager = world.manager()
    await manager.submit(world.mint("a"))
    leave_waiting(world, 40)
    world.node.mine(3)
    raised = await manager.step("mint-a")
    found = await manager.until_final("mint-a", lambda _: world.node.mine())

    assert len(raised.hashes) == 2
    assert found.state == "final"
    assert found.tx_hash in found.hashes
    assert world.is_once("a")
    fees = [(int(fee), int(tip)) for fee, tip in await attempts(world, "max_fee_wei, tip_wei")]  # type: ignore[call-overload]
    for (fee, tip), (next_fee, next_tip) in itertools.pairwise(fees):
        assert next_fee * 8 >= fee * 9
        assert next_tip * 8 >= tip * 9


async def test_waiting__chain_stands_still__no_more_is_offered(world: World) -> None:
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    manager = world.manager()
    await manager.submit(world.mint("a"))
    for _ in range(5):
        found = await manager.step("mint-a")
    assert len(found.hashes) == 1


async def test_ceiling__chain_is_too_dear__waits_says_so_and_goes_on_when_it_falls(world: World) -> None:
    world.chain = replace(world.chain, max_fee_wei=5 * GWEI)
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    manager = world.manager()
    leave_waiting(world, 50)
    world.node.mine()
    await manager.submit(world.mint("a"))
    for _ in range(3):
        leave_waiting(world, 50)
        world.node.mine(2)
        found = await manager.step("mint-a")
    assert found.state in {"signed", "sent"}
    assert "ceiling of 5000000000 wei" in (found.reason or "")
    assert max(int(fee) for (fee,) in await attempts(world, "max_fee_wei")) <= 5 * GWEI  # type: ignore[call-overload]

    leave_waiting(world, 1)
    found = await manager.until_final("mint-a", lambda _: world.node.mine())
    assert found.state == "final"
    assert found.reason is None
    assert world.is_once("a")


async def test_older_payload__is_mined_instead_of_the_newest__counts_all_the_same(world: World) -> None:
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    manager = world.manager()
    first = await manager.submit(world.mint("a"))
    ((raw,),) = await attempts(world, "raw")
    leave_waiting(world, 1)
    world.node.mine(1)
    world.node.reorganise(1)  # the node forgets it
    world.node.ask("anvil_dropAllTransactions")
    world.node.mine(3)
    await manager.step("mint-a")
    world.node.ask("anvil_dropAllTransactions")
    world.node.ask("eth_sendRawTransaction", "0x" + bytes(raw).hex())  # type: ignore[arg-type]
    world.node.mine()
    found = await manager.until_final("mint-a", lambda _: world.node.mine())
    assert found.state == "final"
    assert found.tx_hash == first.hashes[0]
    assert world.is_once("a")


async def test_cancel__waiting_transaction__its_nonce_is_used_by_a_self_send(world: World) -> None:
    lane = await world.lane()
    world.node.ask("evm_setAutomine", False)
    manager = world.manager()
    await manager.submit(world.mint("a"))
    asked = await manager.cancel("mint-a")
    found = await manager.until_final("mint-a", lambda _: world.node.mine())

    assert len(asked.hashes) == 2
    assert found.state == "cancelled"
    assert world.node.tokens(world.contract) == []
    assert world.node.nonce(lane) == 1
    assert (await manager.cancel("mint-a")).state == "cancelled"
    assert (await manager.submit(world.mint("a"))).state == "cancelled"


async def test_cancel__original_wins__the_end_says_so(world: World) -> None:
    world.chain = replace(world.chain, depth=6)
    await world.lane()
    manager = world.manager()
    await manager.submit(world.mint("a"))  # mined at once
    await manager.cancel("mint-a")
    found = await manager.until_final("mint-a", lambda _: world.node.mine())
    assert found.state == "final"
    assert found.reason == "it was mined before its cancellation"
    assert world.is_once("a")


async def test_cancel__then_the_chain_reorganises__the_cancellation_is_sent_again(world: World) -> None:
    world.chain = replace(world.chain, depth=6)
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    world.node.mine(6)
    manager = world.manager()
    await manager.submit(world.mint("a"))
    await manager.cancel("mint-a")
    world.node.mine()
    assert (await manager.step("mint-a")).state == "mined"
    world.node.reorganise(1)
    found = await manager.until_final("mint-a", lambda _: world.node.mine())
    assert found.state == "cancelled"
    assert world.node.tokens(world.contract) == []


async def test_cancel__unknown_key__says_so(world: World) -> None:
    with pytest.raises(NexusError, match="no such transaction"):
        await world.manager().cancel("never")
