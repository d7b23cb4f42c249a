"""NexusGovernor: proposals from their making to their execution.

Belongs here: its reads and the bytes of its transactions. Does not belong here: members (votes.py), what a proposal
changes (parameters.py, media.py), the delay between a vote and its execution (timelock.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Self

from contracts.client.artifacts import checksummed
from contracts.client.contract import Contract
from nexus.errors import invalid, not_found

LONGEST_DESCRIPTION = 20_000


class State(StrEnum):
    """Where a proposal stands, in the contract's order."""

    PENDING = "pending"
    ACTIVE = "active"
    CANCELED = "canceled"
    DEFEATED = "defeated"
    SUCCEEDED = "succeeded"
    QUEUED = "queued"
    EXPIRED = "expired"
    EXECUTED = "executed"


class Support(IntEnum):
    """What a vote says."""

    AGAINST = 0
    FOR = 1
    ABSTAIN = 2


@dataclass(frozen=True, slots=True)
class Action:
    """One call that the timelock makes when the proposal is executed."""

    to: str
    data: bytes = b""
    value: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What members vote on."""

    actions: tuple[Action, ...]
    description: str

    @classmethod
    def of(cls, actions: Sequence[Action], description: str) -> Self:
        """A checked proposal.

        Raises:
            NexusError: category ``invalid``: no action, or a description that is empty or too long.
        """
        if not actions:
            raise invalid("a proposal has to do something", field="actions", value=0, remedy="one action or more")
        if not 0 < len(description) <= LONGEST_DESCRIPTION:
            raise invalid(
                "a proposal has to be described",
                field="description",
                value=len(description),
                remedy=f"1 to {LONGEST_DESCRIPTION} characters",
            )
        return cls(tuple(Action(checksummed(one.to), one.data, one.value) for one in actions), description)

    @property
    def id(self) -> int:
        """The id that the governor gives it: a hash of what it does and of its description."""
        from eth_abi.abi import encode
        from eth_utils.crypto import keccak

        types = ["address[]", "uint256[]", "bytes[]", "bytes32"]
        return int.from_bytes(keccak(encode(types, self.hashed)), "big")

    @property
    def lists(self) -> tuple[list[str], list[int], list[bytes]]:
        """Targets, values, calldatas."""
        return (
            [action.to for action in self.actions],
            [action.value for action in self.actions],
            [action.data for action in self.actions],
        )

    @property
    def hashed(self) -> tuple[list[str], list[int], list[bytes], bytes]:
        """The same with the hash of the description."""
        from eth_utils.crypto import keccak

        return (*self.lists, keccak(text=self.description))


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes so far."""

    against: int
    in_favour: int
    abstained: int


_HASHED = "(address[],uint256[],bytes[],bytes32)"


class Governor(Contract):
    """NexusGovernor at an address."""

    NAME = "NexusGovernor"

    async def state(self, proposal_id: int) -> State:
        """Where a proposal stands.

        Raises:
            NexusError: category ``conflict`` when there is no such proposal.
        """
        return list(State)[await self.read("state(uint256)", proposal_id)]

    async def tally(self, proposal_id: int) -> Tally:
        """Votes so far."""
        return Tally(*await self.read("proposalVotes(uint256)", proposal_id))

    async def snapshot_s(self, proposal_id: int) -> int:
        """The second whose votes count; voting begins after it."""
        return int(await self.read("proposalSnapshot(uint256)", proposal_id))

    async def deadline_s(self, proposal_id: int) -> int:
        """The last second of voting; moves when the quorum is reached late."""
        return int(await self.read("proposalDeadline(uint256)", proposal_id))

    async def eta_s(self, proposal_id: int) -> int:
        """The second from which a queued proposal can be executed; 0: not queued."""
        return int(await self.read("proposalEta(uint256)", proposal_id))

    async def quorum_at(self, at_s: int) -> int:
        """Votes (for and abstained) that a proposal needs whose snapshot is at a past second."""
        return int(await self.read("quorum(uint256)", at_s))

    async def has_voted(self, proposal_id: int, account: str) -> bool:
        """Whether an account has voted."""
        return bool(await self.read("hasVoted(uint256,address)", proposal_id, account))

    async def find(self, proposal_id: int, *, first_block: int = 0) -> Proposal:
        """A proposal as it was made, from the chain's log.

        Raises:
            NexusError: category ``not_found``.
        """
        for log in await self.logs("ProposalCreated", first_block):
            made = log.arguments
            if made["proposalId"] == proposal_id:
                rows = zip(made["targets"], made["calldatas"], made["values"], strict=True)
                return Proposal.of([Action(*row) for row in rows], made["description"])
        raise not_found(
            "no such proposal", field="proposal_id", value=proposal_id, remedy="check the number and the chain"
        )

    def propose(self, proposal: Proposal) -> bytes:
        """Calldata that puts a proposal up."""
        return self.artifact.call("propose(address[],uint256[],bytes[],string)", *proposal.lists, proposal.description)

    def vote(self, proposal_id: int, support: Support, reason: str = "") -> bytes:
        """Calldata of a vote."""
        if reason:
            return self.artifact.call("castVoteWithReason(uint256,uint8,string)", proposal_id, int(support), reason)
        return self.artifact.call("castVote(uint256,uint8)", proposal_id, int(support))

    def queue(self, proposal: Proposal) -> bytes:
        """Calldata that hands a proposal that succeeded to the timelock."""
        return self.artifact.call(f"queue{_HASHED}", *proposal.hashed)

    def execute(self, proposal: Proposal) -> bytes:
        """Calldata that executes a queued proposal; reverts when one of its actions does."""
        return self.artifact.call(f"execute{_HASHED}", *proposal.hashed)

    def cancel(self, proposal: Proposal) -> bytes:
        """Calldata with which its proposer takes a proposal back before voting begins."""
        return self.artifact.call(f"cancel{_HASHED}", *proposal.hashed)
