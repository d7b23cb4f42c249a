"""What is asked of the transaction manager, what it answers, and how it refuses.

Belongs here: the plain types. Does not belong here: any step of a transaction's life (manager.py names who does what).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nexus.db.transactions import Row, State
from nexus.errors import Category, NexusError, invalid

ADDRESS = re.compile(r"0x[0-9a-f]{40}")
ENDED: frozenset[State] = frozenset({"final", "failed", "cancelled"})
_OWN_KEYS = ("fill:", "foreign:")
_MOST_BYTES = 120_000  # what nodes take of one transaction, less its other fields
_MOST_WEI = 2**256


@dataclass(frozen=True, slots=True)
class Intent:
    """One call that has to happen exactly once.

    Args:
        key: Idempotency key, 1 to 256 characters; the same key again is the same transaction.
        to: Address that is called.
        data: Call data.
        value: Wei that go along.
        role: Which lanes may send it.
    """

    key: str
    to: str
    data: bytes = b""
    value: int = 0
    role: str = "minter"

    def checked(self) -> Intent:
        """Itself, with the address in lower case.

        Raises:
            NexusError: category ``invalid`` with the field at fault.
        """
        if not 1 <= len(self.key) <= 256 or self.key.startswith(_OWN_KEYS) or "\x00" in self.key:
            raise invalid(
                "this is no idempotency key",
                field="key",
                value=self.key,
                remedy="1 to 256 characters, not fill: or foreign:",
            )
        to = self.to.lower()
        if not ADDRESS.fullmatch(to) or int(to, 16) == 0:
            raise invalid(
                "this is no address to call", field="to", value=self.to, remedy="0x and 40 hex digits, not zero"
            )
        if not 0 <= self.value < _MOST_WEI:
            raise invalid("this is no amount of wei", field="value", value=self.value, remedy="0 to 2^256 - 1")
        if len(self.data) > _MOST_BYTES:
            raise invalid(
                "the call data is too long", field="data", value=len(self.data), remedy=f"{_MOST_BYTES} bytes at most"
            )
        return Intent(self.key, to, self.data, self.value, self.role)

    def payload_hash(self) -> bytes:
        """What has to be the same under one key."""
        head = f"{self.role}\n{self.to}\n{self.value}\n".encode()
        return hashlib.sha256(head + self.data).digest()


@dataclass(frozen=True, slots=True)
class Transaction:
    """Where a transaction stands. ``hashes``: of every payload signed for its nonce; ``tx_hash``: the one in a block."""

    key: str
    state: State
    chain_id: int
    signer: str | None
    nonce: int | None
    hashes: tuple[str, ...]
    tx_hash: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    reason: str | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    @classmethod
    def of(cls, row: Row, hashes: Sequence[str]) -> Transaction:
        """From what is stored."""
        return cls(
            row.key,
            row.state,
            row.chain_id,
            row.signer,
            row.nonce,
            tuple(hashes),
            row.tx_hash,
            row.block_number,
            row.block_hash,
            row.reason,
        )


@dataclass(slots=True)
class Mended:
    """What :meth:`Transactions.mend` found and put right."""

    filled: int = 0
    rewound: int = 0
    foreign: int = 0
    sent_again: int = 0
    reopened: int = 0
    notes: list[str] = field(default_factory=list)


class Reverted(NexusError):  # noqa: N818 - it is an answer
    """The call would fail on the chain as it is now; nothing was sent and no nonce was used.

    Args:
        name: The error's name, as ``ERC721InvalidSender(0x00...)``.
        selector: Its four bytes, 0x and hex; None: the contract gave none.
    """

    def __init__(self, name: str, selector: str | None, **evidence: Any) -> None:
        super().__init__(
            f"the contract refuses this call: {name}",
            category=Category.CONFLICT,
            field="data",
            value=selector,
            remedy="the same call is refused again until the chain's state changes",
            selector=selector,
            name=name,
            **evidence,
        )
        self.selector = selector
        self.name = name


class NotFunded(NexusError):  # noqa: N818 - it is a state
    """No lane of the role has the coins for this; it works again when one is funded.

    Args:
        address: Whom to send coins to.
        needed_wei: How many are missing.
        coin: Their name.
    """

    def __init__(self, address: str, needed_wei: int, coin: str) -> None:
        super().__init__(
            f"the signer {address} has not enough {coin} to pay for gas",
            category=Category.UNAVAILABLE,
            field="signer",
            value=address,
            remedy=f"send it {needed_wei} wei ({needed_wei / 10**18:.6f} {coin}) or more",
            address=address,
            needed_wei=needed_wei,
        )
        self.address = address
        self.needed_wei = needed_wei


def conflicting(key: str) -> NexusError:
    """The error for another payload under a used key."""
    return NexusError(
        "this idempotency key was used for another call",
        category=Category.CONFLICT,
        field="key",
        value=key,
        remedy="use another key, or send exactly the same call",
    )


def no_lane(role: str) -> NexusError:
    """The error for a role that nobody signs for."""
    return NexusError(
        f"no signer is active for the role {role}",
        category=Category.UNAVAILABLE,
        field="role",
        value=role,
        remedy="enrol a signer, or resume one: bin/nexus keys list",
    )
