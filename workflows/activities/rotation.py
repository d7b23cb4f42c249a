"""Activities that replace a minting key, step by step; each asks first whether its step is done.

Belongs here: key, role, lane, coins. Does not belong here: sending (workflows.activities.transactions), the order of
the steps (workflows.rotate_signer).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from temporalio import activity

from nexus.db import rotations
from nexus.db.pool import acquire
from nexus.db.rotations import RotationRow
from nexus.errors import NexusError, not_found, unavailable
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.activities.waiting import when_changed
from workflows.activities.web3 import MEDIA, Web3
from workflows.key_messages import Calls, Drained, RotateSignerResult, Rotation, RotationTask
from workflows.web3_messages import Call

ROLE, ADMIN = "minter", "admin"
_TRANSFER_GAS = 21_000
_MARGIN = 3
"""Fees may rise until the last transaction of a key is in a block; what this leaves behind is dust."""


class RotationActivities:
    """Replaces keys."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    @activity.defn(name=names.BEGIN_ROTATION)
    @translated
    async def begin(self, task: RotationTask) -> Rotation:
        """Make the new key and note what is going on; a rotation that is under way on the chain is taken up."""
        chain_id = self._web3.chain.chain_id
        async with heartbeating("make"):
            async with acquire(self._web3.pool) as connection:
                known = await rotations.open_rotation(connection, chain_id)
            if known is None:
                old = await self._old(task.address)
                new = await self._web3.signers.make(ROLE)
                contract = await self._web3.contract(MEDIA)
                row = RotationRow(task.operation_id, chain_id, contract, old, new.lower())
                async with acquire(self._web3.pool) as connection:
                    known = await rotations.begin(connection, row)
        return Rotation(
            operation_id=known.operation_id,
            chain_id=known.chain_id,
            contract=known.contract_address,
            old=known.old_address,
            new=known.new_address,
        )

    @activity.defn(name=names.GRANT_SIGNER)
    @translated
    async def grant(self, rotation: Rotation) -> Calls:
        """The new key may mint, and has half of the old one's coins."""
        async with heartbeating("grant"):
            media = await self._web3.media()
            calls: list[Call] = []
            if not await self._web3.asked(media.is_minter(rotation.new)):
                data = media.grant_minter(rotation.new)
                calls.append(_call(f"rotation-{rotation.new}-grant", rotation.contract, data, ADMIN))
            if await self._balance(rotation.new) == 0:
                half = await self._balance(rotation.old) // 2
                if half:
                    calls.append(_call(f"rotation-{rotation.new}-fund-{half}", rotation.new, b"", ROLE, half))
        return Calls(items=tuple(calls))

    @activity.defn(name=names.SWITCH_SIGNER)
    @translated
    async def switch(self, rotation: Rotation) -> Rotation:
        """New transactions go out under the new key."""
        async with heartbeating("switch"):
            await self._web3.transactions.enrol(rotation.new, ROLE)
            await self._web3.transactions.pause(rotation.old)
        return rotation

    @activity.defn(name=names.DRAIN_SIGNER)
    @translated
    async def drain(self, rotation: Rotation) -> Drained:
        """What the old key has under way; answered when the number is another one."""
        async with heartbeating("drain"):
            await self._web3.advance_together()
            seen = Drained(in_flight=await self._web3.transactions.in_flight(rotation.old))
        return when_changed(seen, rotation.known, pace_s=self._web3.chain.block_s)

    @activity.defn(name=names.REVOKE_SIGNER)
    @translated
    async def revoke(self, rotation: Rotation) -> Calls:
        """The old key may mint no more."""
        async with heartbeating("revoke"):
            media = await self._web3.media()
            if not await self._web3.asked(media.is_minter(rotation.old)):
                return Calls()
            data = media.revoke_minter(rotation.old)
        return Calls(items=(_call(f"rotation-{rotation.new}-revoke", rotation.contract, data, ADMIN),))

    @activity.defn(name=names.VERIFY_SIGNER)
    @translated
    async def verify(self, rotation: Rotation) -> Rotation:
        """A mint by the old key would revert, and the new one has the role; the chain is asked for both."""
        async with heartbeating("verify"):
            media = await self._web3.media()
            probe = int.from_bytes(bytes.fromhex(rotation.old[2:]) * 2, "big") % 2**256
            data = media.mint(rotation.new, probe)
            if await self._may(media.simulate(data, sender=rotation.old)):
                raise unavailable("the old key can mint still", remedy="the chain is asked again")
            if not await self._web3.asked(media.is_minter(rotation.new)):
                raise unavailable("the new key has no role yet", remedy="the chain is asked again")
        return rotation

    @activity.defn(name=names.SWEEP_SIGNER)
    @translated
    async def sweep(self, rotation: Rotation) -> Calls:
        """What is left of the old key's coins goes to the new one."""
        async with heartbeating("sweep"):
            balance = await self._balance(rotation.old)
            block = await self._web3.asked(self._web3.rpc.call("eth_getBlockByNumber", ["latest", False]))
            fee = _MARGIN * int(block.get("baseFeePerGas") or "0x0", 16) + self._web3.chain.tip_wei
            left = balance - _TRANSFER_GAS * _MARGIN * fee
            if left <= 0:
                return Calls()
            async with acquire(self._web3.pool) as connection:
                await rotations.note_swept(connection, rotation.operation_id, rotation.old, left)
                await connection.execute(
                    "update nexus_web3.signers set role = %s, state = 'active' where chain_id = %s and address = %s"
                    " and state <> 'retired'",
                    (_sweeping(rotation.old), rotation.chain_id, rotation.old),
                )
        key = f"rotation-{rotation.new}-sweep-{left}"
        return Calls(items=(_call(key, rotation.new, b"", _sweeping(rotation.old), left),))

    @activity.defn(name=names.END_ROTATION)
    @translated
    async def end(self, rotation: Rotation) -> RotateSignerResult:
        """The old key is retired; what it did stays known."""
        async with heartbeating("end"):
            await self._web3.transactions.pause(rotation.old)
            await self._web3.transactions.retire(rotation.old)
            async with acquire(self._web3.pool) as connection:
                await connection.execute(
                    "update nexus_web3.signers set role = %s where chain_id = %s and address = %s",
                    (ROLE, rotation.chain_id, rotation.old),
                )
                swept = await rotations.finish(connection, rotation.operation_id, rotation.old)
        return RotateSignerResult(retired=rotation.old, active=rotation.new, swept_wei=swept)

    async def _old(self, address: str | None) -> str:
        lanes = await self._web3.transactions.lanes(ROLE)
        active = [lane.address for lane in lanes if lane.state == "active"]
        if address is None:
            oldest = await self._web3.lane(ROLE)
            if oldest is not None:
                return oldest
        elif address in active:
            return address
        raise not_found(
            "no such minting key is in use",
            field="address",
            value=address or "(none)",
            remedy=f"one of: {', '.join(active) or 'none'}; see bin/nexus keys list",
        )

    async def _balance(self, address: str) -> int:
        return int(await self._web3.asked(self._web3.rpc.call("eth_getBalance", [address, "latest"])), 16)

    async def _may(self, question: Coroutine[Any, Any, None]) -> bool:
        try:
            await self._web3.asked(question)
        except NexusError as error:
            if "selector" not in error.evidence:
                raise
            return False
        return True


def _sweeping(address: str) -> str:
    """A role of this key alone, so that its last transaction is sent by itself."""
    return f"sweep-{address[2:22]}"


def _call(key: str, to: str, data: bytes, role: str, value: int = 0) -> Call:
    return Call(key=key, to=to.lower(), data="0x" + data.hex(), role=role, value=str(value))
