"""Payloads of minting, royalties and proposals: frozen, one in, one out, as in workflows.messages.

Numbers of 256 bits travel as decimal strings. Does not belong here: behaviour; keys (workflows.key_messages).
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from workflows.messages import Message

Uint256 = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,77})$")]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
Hash = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
Line = Annotated[str, Field(max_length=500)]
TransactionState = Literal["blocked", "reserved", "signed", "sent", "mined", "final", "failed", "cancelled"]
"""States of a transaction; ``blocked``: it cannot go on until something outside has changed."""


class MintRequest(Message):
    """Make a token of a title. What is left out is decided by the platform (its treasury, its default royalty)."""

    content_id: UUID
    to: Annotated[str, Field(max_length=64)] | None = None
    royalty_bps: int | None = Field(None, ge=0, le=10_000)


class MintTask(Message):
    """One attempt at a mint, for its first step."""

    request: MintRequest
    operation_id: str
    run_id: str


class MintResult(Message):
    """The token; exactly what others build on."""

    token_id: Uint256
    contract: Address
    chain_id: int
    tx_hash: Hash
    block_number: int
    metadata_uri: str
    owner: Address


class Call(Message):
    """A transaction to be sent once under its key, whoever asks and however often."""

    key: Annotated[str, Field(max_length=200)]
    to: Address
    data: Annotated[str, Field(pattern=r"^0x([0-9a-f]{2})*$", max_length=200_000)]
    value: Uint256 = "0"
    role: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "minter"


class MintTarget(Message):
    """A mint that was checked: where and for whom; ``minted`` when the title has its token already."""

    content_id: UUID
    operation_id: str
    run_id: str
    chain_id: int
    chain: str
    contract: Address
    to: Address
    royalty_bps: int | None = None
    minted: MintResult | None = None


class MintPlan(Message):
    """What a mint is going to do, decided once and stored."""

    content_id: UUID
    chain_id: int
    chain: str
    contract: Address
    to: Address
    royalty_bps: int | None = None
    token_id: Uint256
    metadata_cid: str
    metadata_bytes: int
    metadata_uri: str
    call: Call


class Situation(Message):
    """Where something that takes its time stands; ``detail`` is for a person."""

    state: str
    detail: Line | None = None


class Pinned(Message):
    """How far the pinning of a mint's metadata is."""

    state: Literal["pinned", "blocked"]
    detail: Line | None = None

    @property
    def situation(self) -> Situation:
        """What is compared to find out whether anything has changed."""
        return Situation(state=self.state, detail=self.detail)


class Ownership(Message):
    """Who has a token; nobody when it does not exist."""

    owner: Address | None = None


class PlanTask(Message):
    """A step of a mint. With ``known``, the answer comes when the situation has become another one."""

    plan: MintPlan
    known: Situation | None = None


class Signature(Message):
    """The platform's word for the manifest of a token."""

    algorithm: Literal["ed25519"]
    public_key: str
    signature: str


class TransactionView(Message):
    """A transaction as a workflow follows it."""

    state: TransactionState
    detail: Line | None = None
    tx_hash: Hash | None = None
    block_number: int | None = None
    block_hash: Hash | None = None
    sender: Address | None = None

    @property
    def situation(self) -> Situation:
        """What is compared to find out whether anything has changed."""
        return Situation(state=self.state, detail=self.detail)


class CallTask(Message):
    """A call and what is known of it; ``is_cancelling`` takes it back."""

    call: Call
    known: Situation | None = None
    is_cancelling: bool = False


class MintRecord(Message):
    """What is written down of a mint that is final."""

    plan: MintPlan
    transaction: TransactionView
    operation_id: str


class TokenEvent(Message):
    """What others hear of a token."""

    content_id: UUID
    operation_id: str
    result: MintResult


class RoyaltiesRequest(Message):
    """Release what the splitter holds, in the native coin and in these ERC-20 tokens."""

    number: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$")]
    tokens: Annotated[tuple[Address, ...], Field(max_length=32)] = ()
    splitter: Address | None = None


class Release(Message):
    """One payee's share in one asset (None: the native coin), and the call that pays it."""

    payee: Address
    token: Address | None = None
    amount: Uint256
    call: Call


class Releases(Message):
    """All that can be released now."""

    items: Annotated[tuple[Release, ...], Field(max_length=1_000)] = ()


class Payment(Message):
    """How one release ended."""

    payee: Address
    token: Address | None = None
    amount: Uint256
    outcome: Literal["paid", "refused"]
    tx_hash: Hash | None = None
    reason: str | None = None


class RoyaltiesResult(Message):
    """Every release of one distribution."""

    payments: tuple[Payment, ...] = ()


class ProposalRequest(Message):
    """A governor's proposal that has passed."""

    proposal_id: Uint256
    attempt: int = 1


class ProposalView(Message):
    """Where a proposal stands, and the call that brings it on, if there is one to make now."""

    state: Literal[
        "pending", "active", "canceled", "defeated", "succeeded", "queued", "expired", "executed", "blocked", "unknown"
    ]
    detail: Line | None = None
    call: Call | None = None

    @property
    def situation(self) -> Situation:
        """What is compared to find out whether anything has changed."""
        return Situation(state=self.state, detail=self.detail)


class ProposalTask(Message):
    """Look at a proposal; with ``known``, answer when it has changed."""

    request: ProposalRequest
    known: Situation | None = None


class ProposalResult(Message):
    """An executed proposal."""

    proposal_id: Uint256
    outcome: Literal["executed"] = "executed"
    tx_hash: Hash | None = None
    block_number: int | None = None
