"""Who and what takes part on a chain: endpoints, database, keys, the admin and the lanes that mint.

Belongs here: opening them, taking keys on, giving them coins on the embedded chain.
Does not belong here: contracts and roles (setup.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.client.chains import Chain, chain_of
from contracts.client.deploy import MEDIA
from contracts.client.rpc.pool import Rpc
from nexus.db import contracts as contracts_db
from nexus.db.pool import AsyncPool, acquire, async_pool
from nexus.errors import NexusError, unavailable

if TYPE_CHECKING:
    from contracts.client.signers.model import Signers
    from contracts.client.transactions.manager import Transactions
    from nexus.settings import Settings

ADMIN, MINTER = "admin", "minter"
COINS_WEI, LEAST_WEI = 10_000 * 10**18, 1_000 * 10**18
"""What a signer of the embedded chain is given, and below which it is given that again."""


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that the set-up works with; ``is_embedded``: the chain is this home's own, where coins are free."""

    settings: Settings
    chain: Chain
    rpc: Rpc
    pool: AsyncPool
    signers: Signers
    transactions: Transactions
    is_embedded: bool


@dataclass(frozen=True, slots=True)
class People:
    """Addresses that take part; the minters are those that may mint now."""

    admin: str
    minters: tuple[str, ...]


@asynccontextmanager
async def opened(settings: Settings, *, is_embedded: bool) -> AsyncIterator[Site]:
    """Connections to the chain, to Postgres, to the keys.

    Args:
        settings: The platform's.
        is_embedded: Whether the chain is the one that the runtime started.

    Raises:
        NexusError: ``invalid`` for an endpoint of another chain; ``unavailable`` when something does not answer.
    """
    from contracts.client.signers.opened import open_signers
    from contracts.client.transactions.manager import Transactions

    chain = chain_of(settings)
    async with Rpc.of(settings) as rpc, async_pool(settings, "worker", max_size=4) as pool:
        await rpc.check()
        signers = open_signers(settings)
        yield Site(settings, chain, rpc, pool, signers, Transactions(pool, rpc, chain, signers), is_embedded)


def away(error: Exception) -> NexusError:
    """The chain gave no answer, or a strange one."""
    return unavailable(f"the chain does not answer: {error}", remedy="see bin/nexus logs chain, then run bin/nexus up")


async def take_on(site: Site) -> People:
    """Keys of the admin and of enough lanes, made where they are missing, each a lane of its role; with coins if embedded."""
    keys = await site.signers.list()
    lanes = {lane.address: lane for lane in await site.transactions.lanes()}

    async def of_role(role: str, count: int) -> list[str]:
        active = [lane.address for lane in lanes.values() if lane.role == role and lane.state == "active"]
        free = [key.address.lower() for key in keys if key.role == role and key.address.lower() not in lanes]
        while len(active) < count:
            address = free.pop(0) if free else (await site.signers.make(role)).lower()
            if site.is_embedded:
                await fund(site.rpc, [address])
            await site.transactions.enrol(address, role)
            active.append(address)
        return sorted(active)

    admin = (await of_role(ADMIN, 1))[0]
    minters = await of_role(MINTER, site.settings.web3.lanes)
    if site.is_embedded:
        await fund(site.rpc, [*lanes, admin, *minters])
    return People(admin, tuple(minters))


async def fund(rpc: Rpc, addresses: Sequence[str]) -> None:
    """Coins of the embedded chain, for whoever has few."""
    wanted = sorted(set(addresses))
    balances = await rpc.batch([("eth_getBalance", [address, "latest"]) for address in wanted])
    for address, balance in zip(wanted, balances, strict=True):
        if isinstance(balance, Exception):
            raise balance
        if int(balance, 16) < LEAST_WEI:
            await rpc.call("anvil_setBalance", [address, hex(COINS_WEI)])


async def in_use(site: Site) -> dict[str, str]:
    """The contracts that are written down, a person's own NexusMedia in place of ours."""
    async with acquire(site.pool) as connection:
        found = await contracts_db.recorded(connection, site.chain.chain_id)
    own = site.settings.web3.media_contract
    return found | ({MEDIA: own.lower()} if own is not None else {})
