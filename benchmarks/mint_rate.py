"""Mints a second through the transaction manager, against the bare rate of the same node.

    .venv/bin/python -m benchmarks.mint_rate [--mints 2000] [--lanes 2] [--batch 200] [--rounds 3]

Protocol. A Postgres with its real durability and an anvil (a block a second) of their own are started in a temporary folder;
NexusMedia is deployed and ``--lanes`` signers may mint. The bare rate: ``--mints`` mints signed beforehand by those signers, sent as
plain ``eth_sendRawTransaction`` calls over kept connections, one call a request, all signers at once and eight requests of each on their
way together, until the node took the last.
Ours: as many mints handed to ``submit_many`` in batches of ``--batch``, two batches at a time, by the same signers, until the node took the
last; that includes idempotency keys, simulation and gas estimate of every call, prices, the reservation of nonces, signing, storing the
signed bytes before sending, and noting the node's answer. BATCHING: ours uses one database transaction a step and JSON-RPC batches, the
bare run does not; the bare rate with JSON-RPC batches of the same size is printed too, without a limit: it skips everything that
makes a mint happen once. Both ways run in turns, ``--rounds`` times, and the medians are compared. Afterwards every mint is
followed until it is final and the Transfer events are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import httpx

from benchmarks.mint_servers import Bench, servers
from benchmarks.owned_node import OWNER, OwnedNode, minting, token_of
from contracts.client.rpc.pool import Rpc
from contracts.client.signers.model import Signers
from contracts.client.signers.opened import open_signers
from contracts.client.transactions.manager import Transactions
from contracts.client.transactions.model import Intent, Transaction
from nexus.db.pool import async_pool

AT_LEAST = 0.8
DEPTH = 2
GWEI = 10**9
TOGETHER = 8


class Bare:
    """Presigned mints, sent with nothing around them."""

    def __init__(self, bench: Bench, node: OwnedNode, contract: str, signers: Signers, lanes: list[str]) -> None:
        self._bench, self._node, self._contract, self._signers, self._lanes = bench, node, contract, signers, lanes

    async def signed(self, label: str, mints: int) -> list[list[str]]:
        """Raw transactions by signer."""
        share = mints // len(self._lanes)
        found = []
        for lane in self._lanes:
            first = self._node.nonce(lane)
            txs = [
                {
                    "chainId": self._bench.chain.chain_id,
                    "nonce": first + place,
                    "maxPriorityFeePerGas": GWEI,
                    "maxFeePerGas": 50 * GWEI,
                    "gas": 150_000,
                    "to": self._contract,
                    "value": 0,
                    "data": minting(OWNER, token_of(f"{label} {lane} {place}")),
                }
                for place in range(share)
            ]
            found.append(["0x" + one.raw.hex() for one in await self._signers.signer(lane).sign_many(txs)])
        return found

    async def rate(self, label: str, mints: int, batch: int) -> float:
        """Mints a second until the node took the last."""
        lists = await self.signed(label, mints)
        async with httpx.AsyncClient(base_url=self._bench.rpc_url, timeout=60, trust_env=False) as http:
            began = perf_counter()
            await asyncio.gather(*(self._send(http, raws, batch) for raws in lists))
            return sum(map(len, lists)) / (perf_counter() - began)

    async def _send(self, http: httpx.AsyncClient, raws: list[str], batch: int) -> None:
        turn = asyncio.Semaphore(TOGETHER if batch == 1 else 1)

        async def one(start: int) -> None:
            asked = [
                {"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": [raw]}
                for number, raw in enumerate(raws[start : start + batch])
            ]
            async with turn:
                said = (await http.post("", json=asked if batch > 1 else asked[0])).json()
            for answer in said if batch > 1 else [said]:
                assert "result" in answer, answer

        await asyncio.gather(*(one(start) for start in range(0, len(raws), batch)))


async def ours(manager: Transactions, contract: str, label: str, mints: int, batch: int) -> float:
    """Mints a second until the node took the last."""
    intents = [Intent(f"{label}-{n}", contract, minting(OWNER, token_of(f"{label} {n}"))) for n in range(mints)]
    turn = asyncio.Semaphore(2)

    async def one(start: int) -> None:
        async with turn:
            for found in await manager.submit_many(intents[start : start + batch]):
                assert isinstance(found, Transaction) and found.state == "sent", found  # noqa: PT018

    began = perf_counter()
    await asyncio.gather(*(one(start) for start in range(0, mints, batch)))
    return mints / (perf_counter() - began)


async def settled(node: OwnedNode, lanes: list[str], total: int) -> None:
    """Wait until the pool is empty."""
    while sum(node.nonce(lane) for lane in lanes) < total:  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.2)


async def measure(bench: Bench, given: argparse.Namespace) -> float:
    node = OwnedNode(bench.rpc_url)
    contract, signers = node.deploy(), open_signers(bench.settings)
    taken: dict[str, list[float]] = {"bare": [], "bare, batched": [], "ours": []}
    async with async_pool(bench.settings, "worker") as pool, Rpc([bench.rpc_url], bench.chain) as rpc:
        manager = Transactions(pool, rpc, bench.chain, signers)
        lanes = [await signers.make("minter") for _ in range(given.lanes)]
        for lane in lanes:
            node.fund(lane)
            node.let_mint(contract, lane)
            await manager.enrol(lane)
        bare = Bare(bench, node, contract, signers, lanes)
        mints, sent = given.mints // given.lanes * given.lanes, 0
        for number in range(given.rounds):
            for name, batch in (("bare", 1), ("bare, batched", given.batch)):
                taken[name].append(await bare.rate(f"{name} {number}", mints, batch))
                sent += mints
                await settled(node, lanes, sent)
            await manager.mend()  # the keys were used by another program: ours, a moment ago
            taken["ours"].append(await ours(manager, contract, f"ours {number}", mints, given.batch))
            sent += mints
            await settled(node, lanes, sent)
        while await manager.advance():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.2)
        tokens = node.tokens(contract)
    assert len(tokens) == len(set(tokens)) == 3 * given.rounds * mints, f"{len(tokens)} tokens"
    return report(taken, mints, given)


def report(taken: dict[str, list[float]], mints: int, given: argparse.Namespace) -> float:
    """Print the figures; the ratio that has a limit."""
    middle = {name: statistics.median(rates) for name, rates in taken.items()}
    print(f"{mints:,} mints a round, {given.lanes} signers, batches of {given.batch}, {given.rounds} rounds")
    for name, rates in taken.items():
        print(f"{name:14} {middle[name]:8,.0f}/s   {'  '.join(f'{rate:,.0f}' for rate in rates)}")
    print(
        f"ours / bare, batched {middle['ours'] / middle['bare, batched']:.2f}   no limit: the bare run promises nothing"
    )
    print(f"ours / bare          {middle['ours'] / middle['bare']:.2f}   limit {AT_LEAST}")
    return middle["ours"] / middle["bare"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mints", type=int, default=2000)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with (
        tempfile.TemporaryDirectory(prefix="nexus-bench-", ignore_cleanup_errors=True) as folder,
        servers(Path(folder), depth=DEPTH, options=("--block-time", "1")) as bench,
    ):
        ratio = asyncio.run(measure(bench, given))
    print("limit met" if ratio >= AT_LEAST else "the limit is missed")
    sys.exit(ratio < AT_LEAST)


if __name__ == "__main__":
    main()
