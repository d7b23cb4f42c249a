"""The keys that mint and the keys that encrypt: which there are, and replacing those that mint.

Belongs here: what may be shown of a key (never the key). Does not belong here: the replacement (workflows), SQL.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from nexus.db import lanes
from nexus.settings import Settings
from serving.operations.service import Operations
from serving.parts import Database
from serving.tokens.enabled import Web3
from serving.wallets import evm

if TYPE_CHECKING:
    from nexus.keyring import Keyring

WITHIN_S: Final = 2.0


class Keys:
    """Shows keys, and has those that mint replaced."""

    def __init__(self, settings: Settings, operations: Operations, database: Database, web3: Web3) -> None:
        self._settings = settings
        self._operations = operations
        self._database = database
        self._web3 = web3
        self._ring: Keyring | None = None

    async def rotate_signer(self) -> str:
        """Start (or join) the operation that replaces a minting key.

        Raises:
            NexusError: ``conflict`` without web3; ``unavailable`` engine.
        """
        self._web3.require()
        from workflows import web3_client

        return await self._operations.start(lambda client: web3_client.start_rotate_signer(client, self._settings))

    async def listed(self) -> dict[str, Any]:
        """The signers of the platform's chain, and the keys of its keyring.

        Raises:
            NexusError: ``unavailable``.
        """
        found = await self._signers() if self._web3.is_enabled else []
        return {"signers": found, "keyring": await asyncio.to_thread(self._keyring)}

    async def _signers(self) -> list[dict[str, Any]]:
        chain_id = self._web3.chain_id()
        async with self._database.connection(WITHIN_S) as connection:
            known = await lanes.lanes(connection, chain_id)
        return [
            {
                "address": evm.checksum(lane.address),
                "chain_id": chain_id,
                "role": lane.role,
                "state": lane.state,
                "in_flight": lane.in_flight,
                "needs_wei": None if lane.needs_wei is None else str(lane.needs_wei),
            }
            for lane in known
        ]

    def _keyring(self) -> list[dict[str, Any]]:
        from nexus.keyring import FILE, Keyring

        if self._settings.keys.password is None or not (self._settings.home / FILE).is_file():
            return []  # nothing was encrypted yet; looking must not make a key
        if self._ring is None:
            self._ring = Keyring.open(self._settings)
        return [{"id": key.id, "state": key.state, "made_at": key.made_at} for key in self._ring.list()]
