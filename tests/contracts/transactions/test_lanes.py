"""Counters, gaps, keys that others use, databases that were restored, lanes that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from benchmarks.owned_node import OWNER, minting, token_of
from contracts.client.signers.model import Signers
from contracts.client.transactions.model import Intent, Transaction
from nexus.errors import Category, NexusError
from tests.contracts.transactions.conftest import World

pytestmark = pytest.mark.integration
LOST = 633


async def foreign(world: World, lane: str, nonce: int, *, data: bytes = b"", to: str = OWNER, wei: int = 0) -> str:
    """Another program sends with the same key."""
    tx = {
        "chainId": world.chain.chain_id, "nonce": nonce, "maxPriorityFeePerGas": 10**10, "maxFeePerGas": 10**11,
        "gas": 200_000, "to": to, "value": wei, "data": data,
    }  # fmt: skip
    signed = await world.keys.signer(lane).sign(tx)
    world.node.ask("eth_sendRawTransaction", "0x" + signed.raw.hex())
    return signed.hash


async def rest(world: World) -> None:
    """Let everything come to its end."""
    for _ in range(6):
        world.node.mine(3)
        await world.manager().mend()


def no_gap(nonces: list[tuple[int]], used: int) -> bool:
    return [nonce for (nonce,) in nonces] == list(range(used))


async def test_drift__every_slot_signed_and_never_sent__mended_without_an_operator(world: World) -> None:
    """OpenZeppelin relayer #843: 633 nonces ahead of the chain, every one of them taken."""
    lane = await world.lane()
    await world.manager().submit(world.mint("a"))
    world.node.ask("evm_setAutomine", False)
    outcomes = await world.manager().submit_many([Intent(f"pay-{number}", OWNER, value=1) for number in range(LOST)])
    assert all(isinstance(one, Transaction) for one in outcomes)
    world.node.ask("anvil_dropAllTransactions")
    await world.run(
        "update nexus_web3.attempts set told_at = null, accepted_at = null where chain_id = %s", world.chain.chain_id
    )
    world.node.ask("evm_setAutomine", True)

    for _ in range(12):
        world.node.mine(3)
        await world.manager().mend()
    assert {state for (state,) in await world.rows("state")} == {"final"}
    assert world.node.nonce(lane) == LOST + 1
    assert no_gap(await world.rows("nonce"), LOST + 1)


async def test_drift__counter_ahead_and_nobody_holds_the_nonces__is_rewound(world: World) -> None:
    await world.lane()
    await world.manager().submit(world.mint("a"))
    await world.run("update nexus_web3.signers set next_nonce = 634 where chain_id = %s", world.chain.chain_id)
    mended = await world.manager().mend()
    assert mended.rewound == LOST
    found = await world.manager().submit(world.mint("b"))
    assert found.nonce == 1
    assert world.is_once("a", "b")


async def test_gap__below_a_reserved_nonce__is_filled_by_a_self_send(world: World) -> None:
    lane = await world.lane()
    await world.run("update nexus_web3.signers set next_nonce = 3 where chain_id = %s", world.chain.chain_id)
    stuck = await world.manager().submit(world.mint("a"))
    assert (stuck.nonce, world.node.tokens(world.contract)) == (3, [])

    mended = await world.manager().mend()
    assert mended.filled == 3
    await rest(world)
    assert world.is_once("a")
    assert no_gap(await world.rows("nonce", "state = 'final'"), 4)
    assert world.node.nonce(lane) == 4


async def test_counter_behind__key_was_used_before__jumps_and_notes_the_nonces(world: World) -> None:
    lane = await world.lane()
    for nonce in range(3):
        await foreign(world, lane, nonce)
    world.node.mine(4)
    mended = await world.manager().mend()
    assert mended.foreign == 3
    found = await world.manager().submit(world.mint("a"))
    assert found.nonce == 3
    await rest(world)
    assert no_gap(await world.rows("nonce", "state = 'final'"), 4)


async def test_nonce__taken_by_another_program__the_intent_gets_a_new_one(world: World) -> None:
    lane = await world.lane()
    await foreign(world, lane, 0)
    sent = await world.manager().submit(world.mint("a"))  # nobody told the manager
    assert sent.nonce == 0
    for _ in range(4):
        world.node.mine(3)
        await world.manager().step("mint-a")
    found = await world.manager().look("mint-a")
    assert found is not None
    assert (found.state, found.nonce) == ("final", 1)
    assert world.is_once("a")
    assert no_gap(await world.rows("nonce"), 2)
    assert len(await world.rows("id", "kind = 'foreign'")) == 1


async def test_nonce__taken_by_another_program_that_did_the_same__is_adopted(world: World) -> None:
    """A database restored from yesterday knows the intent, not the payload that was sent since."""
    lane = await world.lane()
    tx_hash = await foreign(world, lane, 0, to=world.contract, data=minting(OWNER, token_of("a")))
    await world.run(
        "insert into nexus_web3.transactions (chain_id, key, kind, role, to_address, data, value_wei, payload_hash,"
        " gas_limit, state, signer, nonce) values (%s, 'mint-a', 'intent', 'minter', %s, %s, 0, %s, 150000, 'reserved', %s, 0)",
        world.chain.chain_id, world.contract, world.mint("a").data, world.mint("a").payload_hash(), lane,
    )  # fmt: skip
    await world.run("update nexus_web3.signers set next_nonce = 1 where chain_id = %s", world.chain.chain_id)
    await rest(world)
    found = await world.manager().look("mint-a")
    assert found is not None
    assert (found.state, found.tx_hash, found.nonce) == ("final", tx_hash, 0)
    assert world.is_once("a")


async def test_nonce__taken_and_the_token_minted_elsewhere__ends_as_failed(world: World) -> None:
    lane, other = await world.lane(), await world.lane("other")
    world.node.ask("evm_setAutomine", False)
    await world.manager().submit(world.mint("a"))
    world.node.ask("anvil_dropAllTransactions")
    await foreign(world, lane, 0)
    world.node.mine()
    await foreign(world, other, 0, to=world.contract, data=minting(OWNER, token_of("a")))
    await rest(world)
    found = await world.manager().look("mint-a")
    assert found is not None
    assert found.state == "failed"
    assert "ERC721InvalidSender" in (found.reason or "")
    assert world.is_once("a")
    assert no_gap(await world.rows("nonce", f"signer = '{lane}'"), 1)


async def test_two_workers__submit_and_step_the_same_at_once__each_once(world: World) -> None:
    lanes = [await world.lane(), await world.lane()]
    texts = [f"{number}" for number in range(24)]
    workers = [world.manager() for _ in range(4)]
    await asyncio.gather(*(one.submit_many([world.mint(text) for text in texts]) for one in workers))
    for _ in range(3):
        world.node.mine(2)
        await asyncio.gather(*(one.advance() for one in workers), *(one.mend() for one in workers))
    assert world.is_once(*texts)
    assert {state for (state,) in await world.rows("state")} == {"final"}
    for lane in lanes:
        assert no_gap(await world.rows("nonce", f"signer = '{lane}'"), world.node.nonce(lane))


class Slow:
    """Nodes that simulate only after something else has happened."""

    def __init__(self, real: Any, first: Callable[[], Awaitable[None]]) -> None:
        self._real, self._first = real, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def batch(self, questions: Any) -> list[Any]:
        if questions and questions[0][0] == "eth_estimateGas":
            await self._first()
        found: list[Any] = await self._real.batch(questions)
        return found


async def test_two_workers__one_mints_between_the_others_look_and_simulation__is_no_refusal(world: World) -> None:
    await world.lane()

    async def elsewhere() -> None:
        await world.manager().submit(world.mint("a"))

    found = await world.manager(rpc=Slow(world.rpc, elsewhere)).submit(world.mint("a"))
    assert found == await world.manager().look("mint-a")
    assert world.is_once("a")


class Slowly:
    """Keys that sign only after something else has happened."""

    def __init__(self, real: Any, first: Callable[[], Awaitable[None]]) -> None:
        self._real, self._first = real, first

    def signer(self, address: str) -> Any:
        self._signer = self._real.signer(address)
        return self

    async def sign_many(self, txs: Any) -> list[Any]:
        await self._first()
        found: list[Any] = await self._signer.sign_many(txs)
        return found


async def test_two_workers__sign_for_one_nonce_at_once__only_what_is_stored_is_sent(world: World) -> None:
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    world.node.mine()

    async def elsewhere() -> None:
        """The other one finds a cheaper chain, so its payload is another one, and the slow one's would replace it."""
        world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(10**9))
        world.node.mine()
        await world.manager().step("mint-a")

    slow = world.manager(signers=cast("Signers", Slowly(world.keys, elsewhere)))
    found = await slow.submit(world.mint("a"))
    waiting = world.node.ask("txpool_content")["pending"]
    sent = [tx["hash"] for lane in waiting.values() for tx in lane.values()]
    assert sent == list(found.hashes)
    assert (await slow.until_final("mint-a", lambda _: world.node.mine())).state == "final"
    assert world.is_once("a")


async def test_pause__lane_drains_while_others_work__and_can_be_retired(world: World) -> None:
    old, new = await world.lane(), await world.lane()
    manager = world.manager()
    world.node.ask("evm_setAutomine", False)
    await manager.submit_many([world.mint(f"{number}") for number in range(4)])
    await manager.pause(old)
    after = await manager.submit_many([world.mint(f"{number}") for number in range(4, 8)])
    assert {one.signer for one in after if isinstance(one, Transaction)} == {new}
    with pytest.raises(NexusError, match="in flight") as caught:
        await manager.retire(old)
    assert caught.value.category is Category.CONFLICT

    await rest(world)
    assert await manager.in_flight(old) == 0
    await manager.retire(old)
    assert {lane.address: lane.state for lane in await manager.lanes()} == {old: "retired", new: "active"}
    assert world.is_once(*map(str, range(8)))


async def test_resume__paused_lane__works_again(world: World) -> None:
    lane = await world.lane()
    manager = world.manager()
    await manager.pause(lane)
    with pytest.raises(NexusError, match="no signer is active"):
        await manager.submit(world.mint("a"))
    await manager.resume(lane)
    assert (await manager.submit(world.mint("a"))).signer == lane


async def test_stuck_lane__others_take_the_work(world: World) -> None:
    stuck, free = await world.lane(), await world.lane()
    manager = world.manager()
    await manager.pause(free)
    world.node.ask("evm_setAutomine", False)
    await manager.submit_many([world.mint(f"stuck-{number}") for number in range(5)])
    world.node.ask("anvil_dropAllTransactions")
    world.node.fund(stuck, 0)
    await manager.resume(free)
    await manager.submit_many([world.mint(f"{number}") for number in range(4)])
    world.node.mine(3)
    await manager.advance()
    assert {signer for (signer,) in await world.rows("signer", "state in ('mined', 'final')")} == {free}
    assert world.is_once(*map(str, range(4)))


async def test_database__nonce_given_out_twice__is_refused_by_the_constraint(world: World) -> None:
    import psycopg

    await world.lane()
    await world.manager().submit(world.mint("a"))
    await world.run("update nexus_web3.signers set next_nonce = 0 where chain_id = %s", world.chain.chain_id)
    with pytest.raises((NexusError, psycopg.errors.UniqueViolation)):
        await world.manager().submit(world.mint("b"))
    await world.manager().mend()
    assert (await world.manager().submit(world.mint("b"))).nonce == 1


async def test_database__signed_payload__cannot_be_changed_by_the_worker(world: World) -> None:
    import psycopg

    await world.lane()
    await world.manager().submit(world.mint("a"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.run("update nexus_web3.attempts set raw = '\\x00'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.run("delete from nexus_web3.attempts")


async def test_unknown_signer__says_so(world: World) -> None:
    with pytest.raises(NexusError, match="no such signer"):
        await world.manager().pause("0x" + "11" * 20)
    with pytest.raises(NexusError, match="no such signer"):
        await world.manager().in_flight("0x" + "11" * 20)
