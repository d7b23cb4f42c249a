"""Blocks that go again, receipts that mean nothing, ends that were none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.owned_node import OWNER, minting, token_of
from contracts.client.transactions.model import Intent
from tests.contracts.transactions.conftest import World

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("depth", [1, 2, 5])
async def test_mined__block_orphaned__same_bytes_are_sent_again(world: World, depth: int) -> None:
    world.chain = replace(world.chain, depth=8)
    lane = await world.lane()
    world.node.mine(8)
    manager = world.manager()
    sent = await manager.submit(world.mint("a"))
    world.node.mine(depth - 1)
    assert (await manager.step("mint-a")).state == "mined"

    world.node.reorganise(depth)
    assert world.node.nonce(lane) == 0
    again = await manager.step("mint-a")
    assert again.state == "sent"
    assert again.hashes == sent.hashes
    found = await manager.until_final("mint-a", lambda _: world.node.mine())

    assert found.state == "final"
    assert found.tx_hash == sent.tx_hash or found.tx_hash == sent.hashes[0]
    assert world.is_once("a")


async def test_mined__many_orphaned_again_and_again__each_exactly_once(world: World) -> None:
    world.chain = replace(world.chain, depth=6)
    lanes = [await world.lane(), await world.lane()]
    world.node.mine(6)
    manager = world.manager()
    texts = [f"{number}" for number in range(20)]
    for start in range(0, 20, 5):
        await manager.submit_many([world.mint(text) for text in texts[start : start + 5]])
        await manager.advance()
        world.node.reorganise(1 + start // 5)
        await manager.advance()
    world.node.mine(8)
    await manager.advance()
    world.node.mine(8)
    await manager.advance()

    assert {state for (state,) in await world.rows("state")} == {"final"}
    assert world.is_once(*texts)
    for lane in lanes:
        assert [nonce for (nonce,) in await world.rows("nonce", f"signer = '{lane}'")] == list(
            range(world.node.nonce(lane))
        )


async def test_reverted__not_deep_enough__is_no_failure_yet_and_may_still_succeed(world: World) -> None:
    """Two mints of one token: the second reverts, until a reorganisation lets it be the first."""
    world.chain = replace(world.chain, depth=4)
    await world.lane()
    world.node.ask("evm_setAutomine", False)
    world.node.mine(4)
    call = minting(OWNER, token_of("a"))
    manager = world.manager()
    await manager.submit_many([Intent("first", world.contract, call), Intent("second", world.contract, call)])
    world.node.mine()
    second = await manager.step("second")
    assert second.state == "mined"  # reverted, and not believed yet

    world.node.mine(6)
    assert (await manager.step("first")).state == "final"
    failed = await manager.step("second")
    assert failed.state == "failed"
    assert "ERC721InvalidSender" in (failed.reason or "")
    assert world.is_once("a")


async def test_final__finality_was_broken__the_sweep_takes_it_back_to_work(world: World) -> None:
    await world.lane()
    world.node.mine(4)
    manager = world.manager()
    await manager.submit(world.mint("a"))
    world.node.mine(3)
    assert (await manager.step("mint-a")).state == "final"

    world.node.reorganise(4)
    assert world.node.tokens(world.contract) == []
    mended = await manager.mend()

    assert mended.reopened == 1
    assert (await manager.until_final("mint-a", lambda _: world.node.mine())).state == "final"
    assert world.is_once("a")
    world.node.mine(3)
    assert (await manager.mend()).reopened == 0


class Liar:
    """Nodes that say what a test wants about some methods."""

    def __init__(self, real: Any, lies: dict[str, Any]) -> None:
        self._real, self.lies = real, lies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def batch(self, questions: Any) -> list[Any]:
        said = await self._real.batch(questions)
        return [
            self.lies[method](one) if method in self.lies else one
            for (method, _), one in zip(questions, said, strict=True)
        ]

    async def quorum(self, method: str, params: Any = (), **rest: Any) -> Any:
        said = await self._real.quorum(method, params, **rest)
        return self.lies[method](said) if method in self.lies else said


def moved_receipt(said: Any) -> Any:
    return said and said | {"blockHash": "0x" + "ab" * 32}


def reverted_receipt(said: Any) -> Any:
    return said and said | {"status": "0x0", "blockHash": "0x" + "cd" * 32}


@pytest.mark.parametrize("lie", [lambda _: None, moved_receipt, reverted_receipt, lambda _: {"blockNumber": 7}])
async def test_receipt__it_is_a_lie__nothing_is_decided_until_the_truth_comes(world: World, lie: Any) -> None:
    lane = await world.lane()
    liar = Liar(world.rpc, {"eth_getTransactionReceipt": lie})
    manager = world.manager(rpc=liar)
    await manager.submit(world.mint("a"))
    world.node.mine(5)
    for _ in range(3):
        assert (await manager.step("mint-a")).state in {"sent", "mined"}
    assert world.node.nonce(lane) == 1

    liar.lies.clear()
    assert (await manager.step("mint-a")).state == "final"
    assert world.is_once("a")
    assert [nonce for (nonce,) in await world.rows("nonce")] == [0]
