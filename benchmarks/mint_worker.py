"""A worker process of benchmarks/mint_faults.py: mints a list through the transaction manager, and may be killed at any time.

    .venv/bin/python -m benchmarks.mint_worker PLAN

Belongs here: its life. Does not belong here: its death (mint_faults.py).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mint_servers import chain_rules
from benchmarks.owned_node import OWNER, minting, token_of
from contracts.client.rpc.pool import Rpc
from contracts.client.signers.opened import open_signers
from contracts.client.transactions.desk import Patience
from contracts.client.transactions.manager import Transactions
from contracts.client.transactions.model import Intent
from nexus.db.pool import async_pool
from nexus.errors import NexusError
from nexus.settings import Settings

DEPTH, TOGETHER, TIMEOUT_S = 8, 24, 1.5
PATIENCE = Patience(poll_s=0.15, again_s=0.3, remind_s=1.5, sweep_for_h=1.0, sweep_every_s=5.0)


@dataclass(slots=True)
class Plan:
    """What a worker process is told."""

    postgres: str
    password: str
    home: str
    keys: str
    url: str
    chain_id: int
    contract: str
    mints: int
    seed: int = 0

    def opened(self) -> Settings:
        """The settings of this run."""
        return Settings(
            home=Path(self.home),
            postgres={"url": self.postgres, "role_passwords": {"worker": self.password}},
            keys={"password": self.keys},
        )


def intent(contract: str, number: int) -> Intent:
    """One mint."""
    return Intent(f"mint-{number}", contract, minting(OWNER, token_of(f"{number}")))


async def work(plan: Plan) -> None:
    """Mint everything that is not minted yet, as durable workflows do: ask again until there is an end."""
    order = list(range(plan.mints))
    random.Random(plan.seed).shuffle(order)  # noqa: S311 - chance, no secret
    settings, chain = plan.opened(), chain_rules(DEPTH)
    turn = asyncio.Semaphore(TOGETHER)
    async with async_pool(settings, "worker") as pool, Rpc([plan.url], chain, timeout_s=TIMEOUT_S) as rpc:
        manager = Transactions(pool, rpc, chain, open_signers(settings), patience=PATIENCE)

        async def one(number: int) -> None:
            wanted = intent(plan.contract, number)
            async with turn:
                while True:
                    try:
                        await manager.submit(wanted)
                        await manager.until_final(wanted.key)
                    except NexusError as error:
                        if not error.retryable:
                            raise
                        await asyncio.sleep(0.2)
                    else:
                        return

        async def care() -> None:
            while True:
                await asyncio.sleep(2.0)
                try:
                    await manager.mend()
                except NexusError as error:
                    if not error.retryable:
                        raise

        caring = asyncio.create_task(care())
        await asyncio.gather(*(one(number) for number in order))
        caring.cancel()


if __name__ == "__main__":
    asyncio.run(work(Plan(**json.loads(Path(sys.argv[1]).read_text()))))
