"""NexusSplitter: what royalties come in is paid to payees by shares.

Belongs here: its reads, the bytes of its transactions, the arithmetic of a split. Does not belong here: when to pay
(workflows), who the payees are (deploy.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.client.artifacts import checksummed
from contracts.client.contract import Contract
from nexus.errors import invalid

MOST_PAYEES = 100


@dataclass(frozen=True, slots=True)
class Payee:
    """Who gets paid, and its part of all shares."""

    address: str
    shares: int


class Splitter(Contract):
    """NexusSplitter at an address. ``token`` is an ERC-20 token's address; None means the native coin."""

    NAME = "NexusSplitter"

    async def payees(self) -> list[Payee]:
        """Every payee, in the order of creation."""
        found = [checksummed(address) for address in await self.read("payees()")]
        return [Payee(address, int(await self.read("shares(address)", address))) for address in found]

    async def releasable(self, payee: str, token: str | None = None) -> int:
        """What a payee is due now."""
        if token is None:
            return int(await self.read("releasable(address)", payee))
        return int(await self.read("releasableToken(address,address)", token, payee))

    async def released(self, payee: str, token: str | None = None) -> int:
        """What a payee got so far."""
        if token is None:
            return int(await self.read("released(address)", payee))
        return int(await self.read("tokenReleased(address,address)", token, payee))

    async def total_released(self, token: str | None = None) -> int:
        """What all payees together got so far."""
        if token is None:
            return int(await self.read("totalReleased()"))
        return int(await self.read("totalTokenReleased(address)", token))

    def release(self, payee: str, token: str | None = None) -> bytes:
        """Calldata that pays a payee what it is due; anybody may send it."""
        if token is None:
            return self.artifact.call("release(address)", checksummed(payee))
        return self.artifact.call("releaseToken(address,address)", checksummed(token), checksummed(payee))


def due(received: int, shares: int, all_shares: int, paid: int) -> int:
    """What a payee is due of everything ever received: rounded down; what is left over waits for the next payment."""
    return max(received * shares // all_shares - paid, 0)


def checked_payees(payees: Sequence[Payee]) -> tuple[Payee, ...]:
    """Payees as the contract takes them.

    Raises:
        NexusError: category ``invalid``: none, too many, one of them twice, or without shares.
    """
    checked = tuple(Payee(checksummed(payee.address), payee.shares) for payee in payees)
    is_each_once = len({payee.address for payee in checked}) == len(checked)
    has_shares = all(0 < payee.shares < 2**128 and int(payee.address, 16) for payee in checked)
    if not (0 < len(checked) <= MOST_PAYEES and is_each_once and has_shares):
        raise invalid(
            "these payees cannot share",
            field="payees",
            value=", ".join(f"{payee.address}: {payee.shares}" for payee in checked) or "none",
            remedy=f"1 to {MOST_PAYEES} of them, each once, each with shares of 1 or more, none the zero address",
        )
    return checked
