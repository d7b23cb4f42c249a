"""The state of royalties and of the members' organisation, kept for some seconds.

Belongs here: whom to ask, how long, and what a silent chain means. Does not belong here: which calls (reading).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from nexus.db import contracts
from nexus.errors import NexusError, unavailable
from nexus.settings import Settings
from serving.governance import reading
from serving.parts import Database, Part
from serving.tokens.enabled import Web3

if TYPE_CHECKING:
    from contracts.client.rpc.pool import Rpc

FRESH_S: Final = 3.0
WITHIN_S: Final = 10.0
Read = Callable[["Rpc", reading.Addresses], Awaitable[dict[str, Any]]]


class Governance:
    """Reads the chain for people; nobody waits long for it."""

    def __init__(self, settings: Settings, database: Database, web3: Web3) -> None:
        self._settings = settings
        self._database = database
        self._web3 = web3
        self._part = Part("chain", remedy="try again in a moment; see bin/nexus status, part chain")
        self._rpc: Rpc | None = None
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._asking = asyncio.Lock()

    async def royalties(self) -> dict[str, Any]:
        """The default royalty, the payees, what they are due.

        Raises:
            NexusError: ``conflict`` without web3; ``unavailable`` chain.
        """
        return await self._fresh("royalties", reading.royalties)

    async def state(self) -> dict[str, Any]:
        """Members, rules, parameters, proposals.

        Raises:
            NexusError: ``conflict`` without web3; ``unavailable`` chain.
        """
        return await self._fresh("governance", reading.governance)

    async def close(self) -> None:
        """Let connections go."""
        if self._rpc is not None:
            await self._rpc.close()

    async def _fresh(self, name: str, read: Read) -> dict[str, Any]:
        chain_id = self._web3.chain_id()
        async with self._asking:  # one look for all who wait
            kept_at, kept = self._kept.get(name, (float("-inf"), {}))
            if monotonic() - kept_at < FRESH_S:
                return kept
            answer = {"chain_id": chain_id, "coin": self._web3.described()["coin"]} | await self._ask(chain_id, read)
            self._kept[name] = monotonic(), answer
        return answer

    async def _ask(self, chain_id: int, read: Read) -> dict[str, Any]:
        from contracts.client.rpc.errors import Answered, Indeterminate
        from contracts.client.rpc.pool import Rpc

        addresses = await self._addresses(chain_id)
        if self._rpc is None:
            self._rpc = Rpc.of(self._settings)
        async with self._part.asking(WITHIN_S):
            try:
                return await read(self._rpc, addresses)
            except (Indeterminate, Answered, NexusError) as error:  # a contract that is not what it should be, too
                raise unavailable(
                    "the chain does not answer", remedy=self._part.remedy, part="chain", cause=str(error)[:200]
                ) from error

    async def _addresses(self, chain_id: int) -> dict[str, str]:
        """The contracts in use, by name; a NexusMedia of the person's own goes before ours."""
        async with self._database.connection() as connection:
            found = await contracts.recorded(connection, chain_id)
        own = self._settings.web3.media_contract
        return found if own is None else found | {"NexusMedia": own.lower()}
