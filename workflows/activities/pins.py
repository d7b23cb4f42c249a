"""Activities that keep a token's metadata on IPFS: with our node and k of n services, and no longer when there is no token.

Does not belong here: the node and the services themselves (contracts.client.ipfs).
"""

from __future__ import annotations

from temporalio import activity

from nexus.db.mints import is_pin_needed, mark_pinned, mint_of
from nexus.db.pool import acquire
from nexus.errors import NexusError, not_found
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.activities.waiting import is_worth_telling, when_changed
from workflows.activities.web3 import Web3
from workflows.messages import Acknowledged
from workflows.web3_messages import Pinned, PlanTask

PIN_S = 25.0
PACE_S = 3.0


class PinActivities:
    """Pins and unpins."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    @activity.defn(name=names.PIN_METADATA)
    @translated
    async def pin(self, task: PlanTask) -> Pinned:
        """Give the node the block, have it pinned as often as is asked for; answer when that is so, or is news."""
        async with heartbeating("pin"):
            try:
                pinned = await self._pinned(task)
            except NexusError as error:
                if not error.retryable or not is_worth_telling():
                    raise
                pinned = Pinned(state="blocked", detail=f"waits: {error.message}"[:400])
        return when_changed(pinned, task.known, pace_s=PACE_S)

    @activity.defn(name=names.UNPIN_METADATA)
    @translated
    async def unpin(self, task: PlanTask) -> Acknowledged:
        """Let go of what this mint pinned, unless somebody else stands on it."""
        cid, key = task.plan.metadata_cid, task.plan.call.key
        async with acquire(self._web3.pool) as connection:
            is_needed = await is_pin_needed(connection, cid, key)
            mint = await mint_of(connection, key)
        if is_needed or mint is None or not mint.is_pinned:
            return Acknowledged()
        async with heartbeating("unpin"), self._web3.to_ipfs.asking(PIN_S):
            await self._web3.pin_services.unpin(cid)
        return Acknowledged()

    async def _pinned(self, task: PlanTask) -> Pinned:
        plan = task.plan
        async with acquire(self._web3.pool) as connection:
            mint = await mint_of(connection, plan.call.key)
            if mint is None:
                raise not_found(
                    "the mint's plan is gone",
                    field="content_id",
                    value=plan.content_id,
                    remedy="mint the title again",
                )
            await mark_pinned(connection, plan.call.key)
        async with self._web3.to_ipfs.asking(PIN_S):
            await self._web3.ipfs.add_block(mint.metadata, is_pinned=True)
            name = f"nexus {plan.content_id}"
            pins = await self._web3.pin_services.pin(plan.metadata_cid, name=name, wait_s=PIN_S - 5)
        count = sum(pin.status == "pinned" for pin in pins)
        return Pinned(state="pinned", detail=f"{count} of {len(pins)} pins")
