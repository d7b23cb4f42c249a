"""NexusVotes: who is a member, and who votes for whom.

Belongs here: its reads and the bytes of its transactions. Does not belong here: proposals (governor.py).
"""

from __future__ import annotations

from contracts.client.artifacts import checksummed
from contracts.client.contract import Block, Governed


class Votes(Governed):
    """NexusVotes at an address."""

    NAME = "NexusVotes"

    async def is_member(self, account: str, *, block: Block = "latest") -> bool:
        """Whether an account is a member."""
        return bool(await self.read("isMember(address)", account, block=block))

    async def member_count(self) -> int:
        """How many members there are."""
        return int(await self.read("memberCount()"))

    async def delegate_of(self, account: str) -> str:
        """Who votes for an account."""
        return checksummed(await self.read("delegates(address)", account))

    async def votes_of(self, account: str, *, at_s: int | None = None) -> int:
        """How many votes an account has now, or had at a past second."""
        if at_s is None:
            return int(await self.read("getVotes(address)", account))
        return int(await self.read("getPastVotes(address,uint256)", account, at_s))

    async def total_at(self, at_s: int) -> int:
        """All votes at a past second."""
        return int(await self.read("getPastTotalSupply(uint256)", at_s))

    async def clock(self) -> int:
        """The second that the chain is at."""
        return int(await self.read("clock()"))

    def admit(self, account: str) -> bytes:
        """Calldata that makes an account a member."""
        return self.artifact.call("admit(address)", checksummed(account))

    def remove(self, account: str) -> bytes:
        """Calldata that ends a membership."""
        return self.artifact.call("remove(address)", checksummed(account))

    def resign(self) -> bytes:
        """Calldata with which a member leaves."""
        return self.artifact.call("resign()")

    def delegate(self, account: str) -> bytes:
        """Calldata with which a member lets another account vote for it."""
        return self.artifact.call("delegate(address)", checksummed(account))
