"""1,000 mints on a chain, through nodes and by workers that misbehave: exactly 1,000 tokens, or it fails.

    .venv/bin/python -m benchmarks.mint_faults [--mints 1000] [--rotate-every 50] [--seed 7]

Protocol. A Postgres, an anvil and tests/contracts/faulty_rpc.py of their own are started in a temporary folder. Two worker processes run the
transaction manager over the SAME list of mints, each in its own order, and see the chain only through the proxy: it drops requests and
replies, delays, hangs, passes on twice, answers 429, 503, HTML and half a JSON, lies about receipts (none, or another block's), shows an
old ``latest``, says "already known", "nonce too low" and "replacement transaction underpriced", forgets what it accepted, and enforces geth's
10 % rule. Meanwhile blocks come ten times a second and a tenth of the time the newest one to five are replaced by empty ones (final:
eight deep); a random worker is killed with SIGKILL every one to four seconds and started again; after every ``--rotate-every`` mints the
oldest of two signers is replaced: new key, role granted, taken on, old one paused, drained, role revoked, retired.
At the end faults stop, the rest is finished, and the chain is counted: Transfer events, nonces of every key that ever signed, open rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.features import running
from benchmarks.mint_servers import Bench, servers
from benchmarks.mint_worker import DEPTH, PATIENCE, Plan
from benchmarks.owned_node import OwnedNode, token_of
from contracts.client.artifacts import load
from contracts.client.rpc.pool import Rpc
from contracts.client.signers.opened import open_signers
from contracts.client.transactions.manager import Transactions
from contracts.client.transactions.model import Mended
from nexus.db.pool import async_pool
from nexus.runtime import ports
from nexus.runtime.command import Command
from nexus.settings import ROOT, Settings

DEEPEST_REORG, BLOCK_S, WORKERS = 5, 0.1, 2
STUCK_AFTER_S = 120.0
DIAGNOSIS = {
    "states": "select kind, state, count(*) from nexus_web3.transactions group by 1, 2",
    "rows that are not final": "select key, state, signer, nonce, is_cancelling, is_reverted, block_number, reason"
    " from nexus_web3.transactions where state <> 'final' order by signer, nonce limit 40",
    "their payloads": "select a.signer, a.nonce, a.number, a.kind, a.max_fee_wei, a.head, a.accepted_at is not null, a.told_at, a.said"
    " from nexus_web3.attempts a join nexus_web3.transactions t on t.id = a.transaction_id where t.state <> 'final'"
    " order by 1, 2, 3 limit 60",
    "lanes": "select address, state, first_nonce, next_nonce, needs_wei from nexus_web3.signers order by created_at desc limit 6",
}


@dataclass(slots=True)
class Tally:
    """What was done to the run."""

    kills: int = 0
    blocks: int = 0
    reorganisations: int = 0
    orphaned_blocks: int = 0
    rotations: int = 0


class Workers:
    """The worker processes, and their deaths."""

    def __init__(self, plan: Plan, folder: Path, seed: int) -> None:
        self._plan, self._folder = plan, folder
        self._chance = random.Random(seed)  # noqa: S311 - chance, no secret
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lives = 0

    def start(self, place: int) -> None:
        """A new life."""
        self._lives += 1
        told = self._folder / f"plan-{place}.json"
        told.touch(0o600)
        told.write_text(json.dumps(asdict(self._plan) | {"seed": self._lives}))
        words = (sys.executable, "-m", "benchmarks.mint_worker", str(told))
        with (self._folder / f"worker-{place}.log").open("ab") as log:
            self._running[place] = Command(words, cwd=str(ROOT)).popen(log)

    def kill_one(self) -> None:
        """SIGKILL to one of them, and a successor."""
        place = self._chance.randrange(WORKERS)
        self._running[place].kill()
        self._running[place].wait()
        self.start(place)

    def ended(self) -> list[int | None]:
        """Exit codes; None: at work, or killed by us a moment ago and about to be followed."""
        codes = [self._running[place].poll() for place in sorted(self._running)]
        return [None if code == -signal.SIGKILL else code for code in codes]

    def close(self) -> None:
        """No life is left behind."""
        for process in self._running.values():
            process.kill()
            process.wait()

    def logs(self) -> str:
        """The last words."""
        return "\n".join(path.read_text()[-1500:] for path in sorted(self._folder.glob("worker-*.log")))


# --- misfortune ------------------------------------------------------------------------------------------------------


async def blocks(node: OwnedNode, tally: Tally, chance: random.Random, is_calm: asyncio.Event) -> None:
    """Blocks come; until it is calm, some go again."""
    while True:
        await asyncio.to_thread(node.mine)
        tally.blocks += 1
        if not is_calm.is_set() and chance.random() < 0.1:
            depth = chance.randint(1, DEEPEST_REORG)
            await asyncio.to_thread(node.reorganise, depth)
            tally.reorganisations += 1
            tally.orphaned_blocks += depth
        await asyncio.sleep(BLOCK_S)


async def killing(workers: Workers, tally: Tally, chance: random.Random, is_calm: asyncio.Event) -> None:
    """Workers die, until it is calm."""
    while not is_calm.is_set():
        await asyncio.sleep(chance.uniform(1.0, 4.0))
        await asyncio.to_thread(workers.kill_one)
        tally.kills += 1


class Rotation:
    """Replaces signers while mints go on."""

    def __init__(self, node: OwnedNode, contract: str, manager: Transactions, settings: Settings) -> None:
        self._node, self._contract, self._manager = node, contract, manager
        self._signers = open_signers(settings)
        self.ever: list[str] = []

    async def add(self) -> None:
        """A new key that may mint, for good, before anybody uses it."""
        address = await self._signers.make("minter")
        await self._until(address, is_minter=True)
        await self._funded(address)
        await self._manager.enrol(address)
        self.ever.append(address)

    async def replace(self) -> None:
        """The oldest active key goes: no new work, then nothing in flight, then no role."""
        await self.add()
        active = [lane.address for lane in await self._manager.lanes("minter") if lane.state == "active"]
        oldest = next(address for address in self.ever if address in active)
        await self._manager.pause(oldest)
        while await self._manager.in_flight(oldest):  # noqa: ASYNC110 - other processes are waited for
            await asyncio.sleep(0.1)
        await self._until(oldest, is_minter=False)
        await self._manager.retire(oldest)

    async def _funded(self, address: str) -> None:
        """Give it coins, for good: a reorganisation takes ``anvil_setBalance`` back like any other change of a block."""
        while True:
            await asyncio.to_thread(self._node.fund, address)
            since = self._node.head()
            while self._node.head() < since + DEPTH + 1:  # noqa: ASYNC110
                await asyncio.sleep(BLOCK_S)
            if int(self._node.ask("eth_getBalance", address, hex(self._node.head() - DEPTH)), 16) > 0:
                return

    async def _until(self, address: str, *, is_minter: bool) -> None:
        """Change the role and see that it is final; a reorganisation may take the change away."""
        role = load("NexusMedia").call("hasRole(bytes32,address)", self._node.minter_role, address)
        while True:
            if is_minter:
                await asyncio.to_thread(self._node.let_mint, self._contract, address)
            else:
                await asyncio.to_thread(self._node.forbid_minting, self._contract, address)
            since = self._node.head()
            while self._node.head() < since + DEPTH + 1:  # noqa: ASYNC110
                await asyncio.sleep(BLOCK_S)
            final = hex(self._node.head() - DEPTH)
            said = self._node.ask("eth_call", {"to": self._contract, "data": "0x" + role.hex()}, final)
            if (int(said, 16) == 1) == is_minter:
                return


async def rotating(rotation: Rotation, ended: Any, every: int, tally: Tally, is_calm: asyncio.Event) -> None:
    """One rotation for so many mints."""
    while not is_calm.is_set():
        if await ended() >= every * (tally.rotations + 1):
            await rotation.replace()
            tally.rotations += 1
        await asyncio.sleep(0.2)


# --- the run ---------------------------------------------------------------------------------------------------------


@contextmanager
def faulty(folder: Path, upstream: str, seed: int) -> Iterator[str]:
    """URL of the misbehaving proxy."""
    port = ports.choose([ports.Wish("faulty", 28_700)], {})["faulty"]
    script = ROOT / "tests" / "contracts" / "faulty_rpc.py"
    words = (sys.executable, str(script), "--upstream", upstream, "--port", str(port), "--seed", str(seed))
    with running(Command(words, cwd=str(ROOT)), folder / "faulty.log", port):
        yield f"http://127.0.0.1:{port}"


async def run(bench: Bench, folder: Path, given: argparse.Namespace) -> bool:
    node, tally, is_calm = OwnedNode(bench.rpc_url), Tally(), asyncio.Event()
    contract = node.deploy()
    node.mine(DEPTH + 2)  # no reorganisation reaches the contract
    node.ask("evm_setAutomine", False)
    began = time.monotonic()
    with faulty(folder, bench.rpc_url, given.seed) as url:
        async with (
            async_pool(bench.settings, "worker") as pool,
            Rpc([bench.rpc_url], bench.chain) as rpc,  # the one that counts is not lied to
        ):
            manager = Transactions(pool, rpc, bench.chain, open_signers(bench.settings), patience=PATIENCE)

            async def ended() -> int:
                async with pool.connection() as connection:
                    query = "select count(*) from nexus_web3.transactions where kind = 'intent' and state = 'final'"
                    row = await (await connection.execute(query)).fetchone()
                    return int(row[0]) if row else 0

            async def unfinished() -> str:
                """What a stuck run needs to be understood: rows that are not final, lanes, the last payloads."""
                told = [f"worker exit codes {workers.ended()}, chain head {node.head()}"]
                async with pool.connection() as connection:
                    for title, query in DIAGNOSIS.items():
                        rows = await (await connection.execute(query)).fetchall()
                        told += [f"{title} ({len(rows)})", *(f"  {row}" for row in rows)]
                told += [f"  chain nonce {lane} {node.nonce(lane)}" for lane in rotation.ever]
                return "\n".join(told)

            rotation = Rotation(node, contract, manager, bench.settings)
            chain = asyncio.create_task(blocks(node, tally, random.Random(given.seed), is_calm))  # noqa: S311
            for _ in range(2):
                await rotation.add()
            workers = Workers(plan_of(bench, url, contract, given.mints), folder, given.seed)
            try:
                for place in range(WORKERS):
                    workers.start(place)
                death = asyncio.create_task(killing(workers, tally, random.Random(given.seed + 1), is_calm))  # noqa: S311
                turning = asyncio.create_task(rotating(rotation, ended, given.rotate_every, tally, is_calm))
                await followed(ended, unfinished, given.mints, workers, (chain, death, turning))
                is_calm.set()
                await asyncio.gather(death, turning)
                seen = httpx.get(f"{url}/faults", trust_env=False).json()  # noqa: ASYNC210
                httpx.post(f"{url}/faults", json={}, trust_env=False)  # noqa: ASYNC210
                codes = await until_ended(workers)
            finally:
                workers.close()
            mended = await at_rest(manager)
            chain.cancel()
            took = time.monotonic() - began
            return await judged(pool, node, contract, rotation, given, (tally, seen, mended, took, codes))


def plan_of(bench: Bench, url: str, contract: str, mints: int) -> Plan:
    """What workers are told."""
    area, keys = bench.settings.postgres, bench.settings.keys.password
    assert area.url is not None and keys is not None  # noqa: PT018
    return Plan(
        postgres=area.url.get_secret_value(),
        password=area.role_passwords["worker"].get_secret_value(),
        home=str(bench.settings.home),
        keys=keys.get_secret_value(),
        url=url,
        chain_id=bench.chain.chain_id,
        contract=contract,
        mints=mints,
    )


async def followed(
    ended: Any, unfinished: Any, mints: int, workers: Workers, tasks: tuple[asyncio.Task[None], ...]
) -> None:
    """Until all mints are final; a run in which nothing moves is stuck."""
    last, moved_at = -1, time.monotonic()
    while (done := await ended()) < mints:
        if done != last:
            last, moved_at = done, time.monotonic()
        for task in tasks:
            if task.done():
                task.result()
        if time.monotonic() - moved_at > STUCK_AFTER_S:
            raise SystemExit(f"STUCK: {done} of {mints} are final\n{await unfinished()}\n{workers.logs()}")
        if any(code not in {None, 0} for code in workers.ended()):
            raise SystemExit(f"a worker gave up\n{workers.logs()}")
        print(f"\r{done:,} of {mints:,} final", end="", flush=True)
        await asyncio.sleep(0.5)
    print(f"\r{mints:,} of {mints:,} final")


async def until_ended(workers: Workers) -> list[int | None]:
    """Workers find that there is nothing left."""
    until = time.monotonic() + 60
    while None in workers.ended() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return workers.ended()


async def at_rest(manager: Transactions) -> Mended:
    """Fills and cancellations end too."""
    mended = await manager.mend()
    until = time.monotonic() + 60
    while await manager.advance() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    return mended


async def judged(
    pool: Any, node: OwnedNode, contract: str, rotation: Rotation, given: argparse.Namespace, facts: tuple[Any, ...]
) -> bool:
    """Count, print, decide."""
    tally, seen, mended, took, codes = facts
    tokens = Counter(node.tokens(contract))
    wanted = {token_of(f"{number}") for number in range(given.mints)}
    async with pool.connection() as connection:

        async def asked(query: str, *values: Any) -> list[Any]:
            return list(await (await connection.execute(query, values)).fetchall())

        states = dict(await asked("select kind || ' ' || state, count(*) from nexus_web3.transactions group by 1"))
        attempts = await asked("select count(*), max(number) + 1 from nexus_web3.attempts")
        lost = 0
        for lane in rotation.ever:
            rows = await asked("select nonce from nexus_web3.transactions where signer = %s order by nonce", lane)
            counter = await asked("select next_nonce from nexus_web3.signers where address = %s", lane)
            used = node.nonce(lane)
            lost += len(set(range(used)) ^ {nonce for (nonce,) in rows}) + abs(counter[0][0] - used)
    double = sum(count - 1 for count in tokens.values())
    stuck = sum(count for state, count in states.items() if state.split()[1] not in {"final", "failed", "cancelled"})
    print(f"in {took:,.0f} s: {tally.kills} workers killed, {tally.reorganisations} reorganisations that took "
          f"{tally.orphaned_blocks} of {tally.blocks:,} blocks, {tally.rotations} signers replaced")  # fmt: skip
    print("faults:", ", ".join(f"{name} {count:,}" for name, count in sorted(seen.items()) if count))
    print(
        f"rows: {states}; payloads signed {attempts[0][0]:,}, at most {attempts[0][1]} for one nonce; last mend {asdict(mended)}"
    )
    missing = len(wanted - set(tokens))
    print(
        f"tokens {sum(tokens.values()):,} of {given.mints:,}   double {double}   missing {missing}   lost nonces {lost}   stuck {stuck}"
    )
    return set(tokens) == wanted and not (double or lost or stuck) and set(codes) == {0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mints", type=int, default=1000)
    parser.add_argument("--rotate-every", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, seed {given.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="nexus-bench-", ignore_cleanup_errors=True) as folder,
        servers(Path(folder), depth=DEPTH) as bench,
    ):
        is_well = asyncio.run(run(bench, Path(folder), given))
    print("every mint exactly once" if is_well else "THE PROMISE IS BROKEN")
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
