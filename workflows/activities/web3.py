"""What activities on a chain and on IPFS share: the way to a node, to the keys, to Postgres; opened at first use.

Belongs here: making them and letting them go. Does not belong here: what is done with them.
Everything heavy is imported inside: a worker whose platform has no chain stays as small as it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from nexus.db.pool import AsyncPool, acquire
from nexus.errors import Category, NexusError, unavailable
from nexus.settings import Settings
from workflows.activities.reach import Reach

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from contracts.client.chains import Chain
    from contracts.client.ipfs.node import Ipfs
    from contracts.client.ipfs.pins import PinServices
    from contracts.client.media import Media
    from contracts.client.rpc.pool import Rpc
    from contracts.client.signers.model import Signers
    from contracts.client.transactions.manager import Transactions
    from nexus.keyring import Keyring

MEDIA = "NexusMedia"
Answer = TypeVar("Answer")
_FRESH_S = 0.2
"""What was learnt of the chain this long ago is worth no new look."""


class Web3:
    """The parts of one worker.

    Args:
        settings: Of the platform.
        pool: Postgres, as the worker.
        registry: Where figures are shown; None: nowhere.
    """

    def __init__(self, settings: Settings, pool: AsyncPool, registry: CollectorRegistry | None = None) -> None:
        self.settings = settings
        self._registry = registry
        self.pool = pool
        self._turn = asyncio.Lock()
        self._advanced_at = float("-inf")
        self.to_chain = Reach(lambda: away(self.chain.name), _silence)
        self.to_ipfs = Reach(_ipfs_away, tuple)

    @cached_property
    def chain(self) -> Chain:
        """The chain of the settings."""
        from contracts.client.chains import chain_of

        return chain_of(self.settings)

    @cached_property
    def rpc(self) -> Rpc:
        """The chain's endpoints."""
        from contracts.client.rpc.pool import Rpc

        return Rpc.of(self.settings)

    @cached_property
    def signers(self) -> Signers:
        """The keys that sign transactions."""
        from contracts.client.signers.opened import open_signers

        return open_signers(self.settings)

    @cached_property
    def transactions(self) -> Transactions:
        """The transaction manager."""
        from contracts.client.transactions.manager import Transactions

        return Transactions(self.pool, self.rpc, self.chain, self.signers)

    @cached_property
    def ipfs(self) -> Ipfs:
        """Our own IPFS node."""
        from contracts.client.ipfs.node import Ipfs

        return Ipfs.of(self.settings)

    @cached_property
    def pin_services(self) -> PinServices:
        """Those that pin too."""
        from contracts.client.ipfs.pins import PinServices
        from contracts.client.ipfs.refusals import Figures

        return PinServices.of(self.settings, self.ipfs, figures=Figures(self._registry))

    @cached_property
    def keyring(self) -> Keyring:
        """What encrypts keys."""
        from nexus.keyring import Keyring

        return Keyring.open(self.settings)

    async def contract(self, name: str) -> str:
        """The address of a contract in use, lower case.

        Raises:
            NexusError: ``unavailable`` while it is not deployed.
        """
        own = self.settings.web3.media_contract
        if name == MEDIA and own is not None:
            return own.lower()
        async with acquire(self.pool) as connection:
            cursor = await connection.execute(
                "select address from nexus_web3.contracts where chain_id = %s and name = %s",
                (self.chain.chain_id, name),
            )
            row = await cursor.fetchone()
        if row is None:
            raise unavailable(
                f"the contract {name} is not deployed on {self.chain.name} yet",
                remedy="it is deployed when the platform starts; see bin/nexus status and bin/nexus logs worker",
            )
        return str(row[0])

    async def media(self) -> Media:
        """The contract of the tokens."""
        from contracts.client.media import Media

        return Media(self.rpc, await self.contract(MEDIA))

    async def advance_together(self) -> None:
        """Take all transactions as far as they go; one look at the chain serves everybody who waits in this process."""
        asked_at = time.monotonic()
        async with self._turn:
            if self._advanced_at + _FRESH_S < asked_at:
                began = time.monotonic()
                await self.transactions.advance()
                self._advanced_at = began

    async def asked(self, question: Coroutine[Any, Any, Answer], *, patience_s: float = 20.0) -> Answer:
        """What a node says; one that says nothing is away.

        Raises:
            NexusError: ``unavailable``.
        """
        try:
            async with self.to_chain.asking(patience_s):
                return await question
        finally:
            question.close()

    async def lane(self, role: str) -> str | None:
        """The oldest address of a role that is in use, or None."""
        async with acquire(self.pool) as connection:
            cursor = await connection.execute(
                "select address from nexus_web3.signers where chain_id = %s and role = %s and state = 'active'"
                " order by created_at, address limit 1",
                (self.chain.chain_id, role),
            )
            row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def close(self) -> None:
        """Let go of what was opened."""
        opened = vars(self)
        for name in ("pin_services", "ipfs", "rpc", "signers"):
            part = opened.pop(name, None)
            close = getattr(part, "close", None)
            if close is not None:
                await close()


def away(chain: str) -> NexusError:
    """The error for a chain that does not answer."""
    return NexusError(
        f"the chain {chain} does not answer",
        category=Category.UNAVAILABLE,
        remedy="nothing is lost: what waits for it goes on by itself; see bin/nexus status, part chain",
    )


def _silence() -> tuple[type[Exception], ...]:
    from contracts.client.rpc.errors import Answered, Indeterminate

    return (Answered, Indeterminate)


def _ipfs_away() -> NexusError:
    return unavailable("IPFS does not answer", remedy="nothing is lost: pins go on by themselves; see bin/nexus status")
