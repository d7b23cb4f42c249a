"""What every wrapper of a contract does: ask with a static call, make the bytes of a transaction, name its errors.

Belongs here: that. Does not belong here: what one contract offers (one file each), sending (transactions/).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from contracts.client.artifacts import Artifact, Log, checksummed, decode_error, load
from contracts.client.rpc.errors import Answered
from nexus.errors import Category, NexusError

REVERTED = 3
Block = int | str


class Caller(Protocol):
    """Whoever asks a node: ``contracts.client.rpc.pool.Rpc``."""

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Ask."""
        ...


class Contract:
    """A contract at an address.

    Args:
        rpc: Whom to ask.
        address: Where it lies.
        artifact: What it is; None: the one that ``NAME`` names.
    """

    NAME = ""

    def __init__(self, rpc: Caller, address: str, artifact: Artifact | None = None) -> None:
        self._rpc = rpc
        self.address = checksummed(address)
        self.artifact = artifact or load(self.NAME)

    async def read(self, signature: str, *arguments: Any, block: Block = "latest") -> Any:
        """A static call.

        Raises:
            NexusError: ``not_found`` when no such contract is there; ``conflict`` with the contract's own error.
            Indeterminate: Nobody answered.
        """
        call = {"to": self.address, "data": "0x" + self.artifact.call(signature, *arguments).hex()}
        try:
            answer = await self._rpc.call("eth_call", [call, tag(block)])
        except Answered as error:
            self._refuse(error)
        return self.artifact.answer(signature, bytes.fromhex(answer[2:]))

    async def simulate(self, data: bytes, *, sender: str, value: int = 0, block: Block = "latest") -> None:
        """Find out whether a transaction would go through, at no cost.

        Raises:
            NexusError: category ``conflict``; the message and ``reason`` name the contract's error.
        """
        call = {"from": sender, "to": self.address, "data": "0x" + data.hex(), "value": hex(value)}
        try:
            await self._rpc.call("eth_call", [call, tag(block)])
        except Answered as error:
            self._refuse(error)

    def decode_error(self, data: bytes | str | None) -> str:
        """A revert's reason for a person."""
        return decode_error(data, self.artifact) if self.artifact.error(data) else decode_error(data)

    async def logs(
        self, event: str, first: Block = 0, last: Block = "latest", topics: Sequence[str | None] = ()
    ) -> list[Log]:
        """Events of this contract, oldest first."""
        asked = {
            "address": self.address,
            "fromBlock": tag(first),
            "toBlock": tag(last),
            "topics": [self.artifact.topic(event), *topics],
        }
        found = await self._rpc.call("eth_getLogs", [asked])
        decoded = [self.artifact.log(log["topics"], log["data"]) for log in found if not log.get("removed")]
        return [log for log in decoded if log is not None]

    def _refuse(self, error: Answered) -> NoReturn:
        """The node's "no": a revert becomes ours, anything else stays the node's."""
        data = revert_data(error)
        if data is None:
            raise error
        reason = self.decode_error(data)
        raise NexusError(
            f"{self.artifact.name} refuses: {reason}",
            category=Category.CONFLICT,
            field="contract",
            value=self.address,
            remedy="the transaction would revert and was not sent",
            reason=reason,
            selector=data[:10],
        ) from None


def revert_data(error: Answered) -> str | None:
    """The bytes of a revert in a node's answer; None: the answer is about something else."""
    data = error.data
    if isinstance(data, dict):  # some nodes wrap it
        data = data.get("data") or data.get("result")
    if isinstance(data, str) and data.startswith("0x"):
        return data
    return "0x" if error.code == REVERTED or "revert" in error.message.lower() else None


def tag(block: Block) -> str:
    """A block as nodes want it named."""
    return hex(block) if isinstance(block, int) else block


def role_of(name: str) -> bytes:
    """A role's identifier: the Keccak-256 of its name; ``DEFAULT_ADMIN_ROLE`` is zero."""
    from eth_utils.crypto import keccak

    return bytes(32) if name == "DEFAULT_ADMIN_ROLE" else keccak(text=name)


class Governed(Contract):
    """A contract with OpenZeppelin's roles."""

    async def has_role(self, role: str, account: str, *, block: Block = "latest") -> bool:
        """Whether an account has a role, as in ``MINTER_ROLE``."""
        return bool(await self.read("hasRole(bytes32,address)", role_of(role), account, block=block))

    def grant(self, role: str, account: str) -> bytes:
        """Calldata that grants a role."""
        return self.artifact.call("grantRole(bytes32,address)", role_of(role), checksummed(account))

    def revoke(self, role: str, account: str) -> bytes:
        """Calldata that revokes a role."""
        return self.artifact.call("revokeRole(bytes32,address)", role_of(role), checksummed(account))

    def renounce(self, role: str, account: str) -> bytes:
        """Calldata with which an account gives up its own role."""
        return self.artifact.call("renounceRole(bytes32,address)", role_of(role), checksummed(account))
