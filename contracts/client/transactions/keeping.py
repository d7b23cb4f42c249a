"""Lanes: taking keys on, giving them work or none, letting them go.

Belongs here: what an operator or the rotation of signers does with a lane. Does not belong here: transactions (manager.py),
roles on a contract.
"""

from __future__ import annotations

from contracts.client.transactions import submitting
from contracts.client.transactions.desk import Desk
from nexus.db import lanes as lanes_db
from nexus.db.lanes import Lane, LaneState
from nexus.db.pool import acquire
from nexus.errors import Category, NexusError, not_found


class LaneKeeping:
    """The lanes of one chain.

    Args:
        desk: What to work with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def enrol(self, address: str, role: str = "minter", *, state: LaneState = "active") -> None:
        """Make a key a lane of a role, from its present nonce on. Twice is once.

        Raises:
            NexusError: category ``unavailable`` when the chain does not tell the nonce.
        """
        address = address.lower()
        counts = await self._desk.view.counts([address])
        if address not in counts:
            raise submitting.away("no node tells the nonce of the signer")
        async with acquire(self._desk.pool) as connection:
            await lanes_db.enrol(
                connection, self._desk.chain.chain_id, address, role, nonce=counts[address], state=state
            )

    async def lanes(self, role: str | None = None) -> list[Lane]:
        """All lanes, or those of a role."""
        async with acquire(self._desk.pool) as connection:
            return await lanes_db.lanes(connection, self._desk.chain.chain_id, role=role)

    async def pause(self, signer: str) -> None:
        """Give the lane no new work; what it has goes on (``draining``)."""
        await self._set_state(signer, "draining")

    async def resume(self, signer: str) -> None:
        """Give the lane work again."""
        await self._set_state(signer, "active")

    async def retire(self, signer: str) -> None:
        """Close a drained lane.

        Raises:
            NexusError: category ``conflict`` while it has transactions in flight.
        """
        open_rows = await self.in_flight(signer)
        if open_rows:
            raise NexusError(
                "the signer has transactions in flight",
                category=Category.CONFLICT,
                field="signer",
                value=signer,
                remedy="pause it and wait until in_flight is 0",
                in_flight=open_rows,
            )
        await self._set_state(signer, "retired")

    async def _set_state(self, signer: str, state: LaneState) -> None:
        async with acquire(self._desk.pool) as connection:
            if not await lanes_db.set_state(connection, self._desk.chain.chain_id, signer.lower(), state):
                raise _no_signer(signer)

    async def in_flight(self, signer: str) -> int:
        """How many of a lane's transactions have not ended."""
        for lane in await self.lanes():
            if lane.address == signer.lower():
                return lane.in_flight
        raise _no_signer(signer)


def _no_signer(signer: str) -> NexusError:
    return not_found("no such signer on this chain", field="signer", value=signer, remedy="see bin/nexus keys list")
