"""From an intent to a token: once per key, refused before a nonce is used, waiting where waiting helps."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from benchmarks.owned_node import OWNER, minting, token_of
from contracts.client.rpc.pool import Rpc
from contracts.client.transactions.model import Intent, NotFunded, Reverted, Transaction
from nexus.errors import Category, NexusError
from tests.contracts.transactions.conftest import World

pytestmark = pytest.mark.integration


async def final(world: World, text: str) -> Transaction:
    """Submit and follow to the end, on a chain that goes on."""
    manager = world.manager()
    await manager.submit(world.mint(text))
    return await manager.until_final(world.mint(text).key, lambda _: world.node.mine())


async def test_submit__good_call__is_followed_to_a_final_block(world: World) -> None:
    lane = await world.lane()
    told: list[str] = []
    manager = world.manager()
    sent = await manager.submit(world.mint("a"))

    def tell(found: Transaction) -> None:
        told.append(found.state)
        world.node.mine()

    found = await manager.until_final(sent.key, tell)

    assert (sent.state, sent.signer, sent.nonce) == ("sent", lane, 0)
    assert found.state == "final"
    assert found.tx_hash == sent.hashes[0]
    assert found.block_hash == world.node.ask("eth_getBlockByNumber", hex(found.block_number or 0), False)["hash"]
    assert told[-1] == "final"
    assert "mined" in told
    assert world.is_once("a")


async def test_submit__same_key_again__is_the_same_transaction(world: World) -> None:
    await world.lane()
    manager = world.manager()
    first, *others = await asyncio.gather(*(world.manager().submit(world.mint("a")) for _ in range(8)))
    again = await manager.submit(world.mint("a"))

    assert {(one.nonce, one.hashes) for one in [*others, again]} == {(first.nonce, first.hashes)}
    assert world.is_once("a")
    assert len(await world.rows("id")) == 1


@pytest.mark.parametrize("change", [{"to": "0x" + "11" * 20}, {"data": b"\x01"}, {"value": 1}, {"role": "other"}])
async def test_submit__other_payload_under_the_key__is_refused(world: World, change: dict[str, object]) -> None:
    await world.lane()
    await world.manager().submit(world.mint("a"))
    with pytest.raises(NexusError, match="used for another call") as caught:
        await world.manager().submit(replace(world.mint("a"), **change))  # type: ignore[arg-type]
    assert caught.value.category is Category.CONFLICT


async def test_submit__call_that_reverts__is_refused_by_name_and_uses_no_nonce(world: World) -> None:
    lane = await world.lane()
    await final(world, "a")
    with pytest.raises(Reverted) as caught:
        await world.manager().submit(Intent("other key", world.contract, minting(OWNER, token_of("a"))))
    assert caught.value.name.startswith("ERC721InvalidSender(")
    assert caught.value.selector == "0x73c6ac6e"
    assert not caught.value.retryable
    (found,) = await world.manager().lanes()
    assert (found.address, found.next_nonce) == (lane, 1)


async def test_submit_many__some_are_bad__the_others_go_on(world: World) -> None:
    await world.lane()
    good = [world.mint(f"{number}") for number in range(5)]
    unauthorised = Intent("grant", world.contract, bytes.fromhex("2f2ff15d") + bytes(64))
    nowhere = Intent("nowhere", "0x" + "00" * 20)
    twice = replace(good[0], data=b"\x00")
    outcomes = await world.manager().submit_many([good[0], unauthorised, *good[1:], nowhere, twice, good[1]])

    assert [type(one).__name__ for one in outcomes] == [
        "Transaction", "Reverted", *["Transaction"] * 4, "NexusError", "NexusError", "Transaction",
    ]  # fmt: skip
    assert outcomes[-1] == outcomes[2]
    assert world.is_once(*map(str, range(5)))
    assert [nonce for (nonce,) in await world.rows("nonce")] == [0, 1, 2, 3, 4]


async def test_submit_many__several_lanes__share_the_work(world: World) -> None:
    lanes = {await world.lane(), await world.lane(), await world.lane()}
    world.node.ask("evm_setAutomine", False)
    outcomes = await world.manager().submit_many([world.mint(f"{number}") for number in range(30)])
    used = [one.signer for one in outcomes if isinstance(one, Transaction)]
    assert {lane: used.count(lane) for lane in lanes} == dict.fromkeys(lanes, 10)


@pytest.mark.parametrize(
    ("intent", "field"),
    [
        (Intent("", "0x" + "11" * 20), "key"),
        (Intent("k" * 257, "0x" + "11" * 20), "key"),
        (Intent("fill:0x:1", "0x" + "11" * 20), "key"),
        (Intent("k", "0x" + "00" * 20), "to"),
        (Intent("k", "someone.eth"), "to"),
        (Intent("k", "0x" + "11" * 20, value=-1), "value"),
        (Intent("k", "0x" + "11" * 20, value=2**256), "value"),
        (Intent("k", "0x" + "11" * 20, data=bytes(130_000)), "data"),
    ],
)
async def test_submit__bad_input__names_the_field(world: World, intent: Intent, field: str) -> None:
    with pytest.raises(NexusError) as caught:
        await world.manager().submit(intent)
    assert (caught.value.category, caught.value.field) == (Category.INVALID, field)


async def test_submit__no_lane_of_the_role__says_so(world: World) -> None:
    with pytest.raises(NexusError, match="no signer is active for the role minter") as caught:
        await world.manager().submit(world.mint("a"))
    assert caught.value.retryable


async def test_submit__signer_without_funds__says_what_it_needs_and_works_when_funded(world: World) -> None:
    lane = await world.lane(wei=0)
    with pytest.raises(NotFunded) as caught:
        await world.manager().submit(world.mint("a"))
    (found,) = await world.manager().lanes()
    assert caught.value.address == lane
    assert caught.value.retryable
    assert found.needs_wei == caught.value.needed_wei
    assert found.next_nonce == 0

    world.node.fund(lane, caught.value.needed_wei)
    assert (await final(world, "a")).state == "final"


async def test_submit__one_lane_without_funds__others_mint(world: World) -> None:
    poor, rich = await world.lane(wei=0), await world.lane()
    outcomes = await world.manager().submit_many([world.mint(f"{number}") for number in range(6)])
    assert {one.signer for one in outcomes if isinstance(one, Transaction)} == {rich}
    assert world.is_once(*map(str, range(6)))
    needs = {lane.address: lane.needs_wei for lane in await world.manager().lanes()}
    assert needs[poor]
    assert needs[rich] is None


async def test_submit__lane_emptied_after_reservation__waits_and_goes_on_when_funded(world: World) -> None:
    lane = await world.lane()
    world.node.ask("evm_setAutomine", False)
    manager = world.manager()
    await manager.submit(world.mint("a"))
    world.node.ask("anvil_dropAllTransactions")
    world.node.fund(lane, 0)
    waiting = await manager.step("mint-a")
    assert waiting.state in {"signed", "sent"}
    assert "has not enough ETH" in (waiting.reason or "")

    world.node.fund(lane)
    await manager.step("mint-a")
    assert (await manager.until_final("mint-a", lambda _: world.node.mine())).state == "final"
    assert world.is_once("a")


async def test_submit__endpoint_of_another_chain__nothing_is_sent(world: World) -> None:
    await world.lane()
    other = replace(world.chain, chain_id=world.chain.chain_id + 500)
    async with Rpc([world.node.url], other, timeout_s=1) as rpc:
        manager = world.manager(rpc=rpc)
        with pytest.raises(NexusError, match="does not answer") as caught:
            await manager.submit(world.mint("a"))
    assert caught.value.retryable
    assert world.node.tokens(world.contract) == []
    assert await world.rows("id") == []


async def test_until_final__chain_is_away__waits_and_ends_when_it_is_back(world: World) -> None:
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    await world.manager().submit(world.mint("a"))
    async with Rpc(["http://127.0.0.1:9"], world.chain, timeout_s=0.2) as away:
        manager = world.manager(rpc=away)
        waiting = asyncio.create_task(manager.until_final("mint-a"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        with pytest.raises(NexusError) as caught:
            await manager.step("mint-a")
        assert caught.value.retryable
        waiting.cancel()
    assert (await world.manager().until_final("mint-a", lambda _: world.node.mine())).state == "final"


async def test_look__unknown_key__is_none(world: World) -> None:
    assert await world.manager().look("never") is None
    with pytest.raises(NexusError, match="no such transaction"):
        await world.manager().step("never")
