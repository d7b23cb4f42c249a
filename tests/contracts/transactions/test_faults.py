"""The small form of the fault run: lying nodes, reorganisations, workers that die; 40 mints, 40 tokens."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from contracts.client.rpc.pool import Rpc
from contracts.client.transactions.desk import Patience
from contracts.client.transactions.manager import Transactions
from nexus.errors import NexusError
from nexus.runtime.command import Command
from nexus.settings import ROOT
from tests.conftest import _free_ports, _running
from tests.contracts.faulty_rpc import FAULTS, MIX
from tests.contracts.transactions.conftest import World

pytestmark = pytest.mark.integration

MINTS, TOGETHER, SEED, LIMIT_S = 40, 10, 7, 20.0
PATIENT = Patience(poll_s=0.1, again_s=0.2, remind_s=0.5, sweep_every_s=0.0)


@contextmanager
def faulty(upstream: str, folder: Path, rates: dict[str, float]) -> Iterator[str]:
    """URL of the lying proxy in front of a node."""
    (port,) = _free_ports(1)
    words = ("--upstream", upstream, "--port", str(port), "--seed", str(SEED), "--rates", json.dumps(rates))
    command = Command((sys.executable, str(ROOT / "tests" / "contracts" / "faulty_rpc.py"), *words), cwd=str(ROOT))

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/faults", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    with _running(command, folder / "faulty.log", answers):
        yield f"http://127.0.0.1:{port}"


async def misfortune(world: World, until: asyncio.Event) -> None:
    """Blocks come, and some of them go again."""
    chance = random.Random(SEED)  # noqa: S311
    while not until.is_set():
        await asyncio.to_thread(world.node.mine)
        if chance.random() < 0.15:
            await asyncio.to_thread(world.node.reorganise, chance.randint(1, 3))
        await asyncio.sleep(0.1)


async def minted(manager: Transactions, world: World, text: str) -> str:
    """What a durable workflow does: ask again until there is an end."""
    intent = world.mint(text)
    while True:
        try:
            await manager.submit(intent)
            return (await manager.until_final(intent.key)).state
        except NexusError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(0.1)


async def worker(world: World, url: str, texts: list[str], until: float | None) -> set[str]:
    """A worker's life; it ends in the middle of everything after so many seconds."""
    async with Rpc([url], world.chain, timeout_s=1) as rpc:
        manager = world.manager(rpc=rpc, patience=PATIENT)
        turn = asyncio.Semaphore(TOGETHER)

        async def one(text: str) -> str:
            async with turn:
                return await minted(manager, world, text)

        try:
            async with asyncio.timeout(until):
                return set(await asyncio.gather(*(one(text) for text in texts)))
        except TimeoutError:
            return set()


async def test_mints__lying_nodes_reorganisations_and_killed_workers__each_exactly_once(
    world: World, tmp_path: Path
) -> None:
    lanes = [await world.lane(), await world.lane()]
    world.chain = replace(world.chain, depth=6, bump_after_s=1.0)
    world.node.ask("evm_setAutomine", False)
    texts = [f"{number}" for number in range(MINTS)]
    over = asyncio.Event()
    with faulty(world.node.url, tmp_path, MIX) as url:
        chain = asyncio.create_task(misfortune(world, over))
        assert await worker(world, url, texts, 1.5) <= {"final"}
        both = await asyncio.gather(worker(world, url, texts, LIMIT_S), worker(world, url, texts[::-1], 3.0))
        over.set()
        await chain
        seen = httpx.get(f"{url}/faults", trust_env=False).json()  # noqa: ASYNC210

    assert both[0] == {"final"}, await world.rows("signer, nonce, state, block_number, reason", "state <> 'final'")
    assert world.is_once(*texts)
    for lane in lanes:
        held = await world.rows("nonce", f"signer = '{lane}'")
        assert [nonce for (nonce,) in held] == list(range(world.node.nonce(lane)))
    assert sum(seen.get(fault, 0) > 0 for fault in FAULTS) >= len(FAULTS) - 3, seen
