"""What signs: one key as a signer, and a place that holds several keys.

Belongs here: the two protocols and what a signature gives. Does not belong here: where keys live (keystore.py,
remote.py), the bytes of a transaction (envelope.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction: the bytes that go to a node, and their hash (0x, lower case)."""

    raw: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class SignerKey:
    """What anybody may know about a key."""

    address: str
    role: str
    made_at: datetime


class Signer(Protocol):
    """One key. ``address`` is in lower case."""

    @property
    def address(self) -> str:
        """Of the key; 0x and 40 lower-case digits."""
        ...

    async def sign(self, tx: Mapping[str, Any]) -> Signed:
        """Sign an EIP-1559 transaction (chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to, value, data)."""
        ...

    async def sign_many(self, txs: Sequence[Mapping[str, Any]]) -> list[Signed]:
        """Sign several at once, in their order."""
        ...

    async def sign_digest(self, digest: bytes) -> bytes:
        """The 65 bytes r, s, v (27 or 28; low s) over 32 bytes that the caller hashed."""
        ...


class Signers(Protocol):
    """A place that holds keys."""

    async def make(self, role: str) -> str:
        """Make a key; its address."""
        ...

    async def list(self) -> list[SignerKey]:
        """All keys, oldest first."""
        ...

    def signer(self, address: str) -> Signer:
        """The signer of one key; an unknown address fails here or at its first signature (``not_found``)."""
        ...
