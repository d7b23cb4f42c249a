"""TimelockController: the members' treasury, and the delay between a vote and what it does.

Belongs here: its reads and the bytes of its transactions. Does not belong here: proposals (governor.py).
"""

from __future__ import annotations

from contracts.client.contract import Governed, role_of
from contracts.client.governor import Proposal


class Timelock(Governed):
    """TimelockController at an address."""

    NAME = "TimelockController"

    async def min_delay_s(self) -> int:
        """Seconds between queueing and execution."""
        return int(await self.read("getMinDelay()"))

    async def is_open(self) -> bool:
        """Whether anybody may execute what is ready."""
        return bool(await self.read("hasRole(bytes32,address)", role_of("EXECUTOR_ROLE"), "0x" + "0" * 40))

    async def is_ready(self, proposal: Proposal, governor: str) -> bool:
        """Whether a queued proposal can be executed now."""
        return bool(await self.read("isOperationReady(bytes32)", operation_id(proposal, governor)))

    async def is_done(self, proposal: Proposal, governor: str) -> bool:
        """Whether it was executed."""
        return bool(await self.read("isOperationDone(bytes32)", operation_id(proposal, governor)))


def operation_id(proposal: Proposal, governor: str) -> bytes:
    """The id under which the timelock knows a proposal of a governor."""
    from eth_abi.abi import encode
    from eth_utils.crypto import keccak

    targets, values, calldatas, description = proposal.hashed
    caller = bytes.fromhex(governor[2:]).ljust(32, b"\0")
    salt = bytes(a ^ b for a, b in zip(caller, description, strict=True))
    types = ["address[]", "uint256[]", "bytes[]", "bytes32", "bytes32"]
    return keccak(encode(types, [targets, values, calldatas, bytes(32), salt]))
