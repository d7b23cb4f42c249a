"""The bytes of an EIP-1559 transaction: what is hashed, and what is sent.

Belongs here: RLP of the one type of transaction that we send, and the signer that turns digests into transactions.
Does not belong here: keys. (eth-account makes the same bytes at a tenth of the speed; a test holds both equal.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from contracts.client.signers.curve import keccak
from contracts.client.signers.model import Signed

_TYPE = b"\x02"
_SHORT = 55
_SINGLE = 0x80
_STRING, _LIST = 0x80, 0xC0


def _prefix(length: int, offset: int) -> bytes:
    if length <= _SHORT:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + _SHORT + len(size)]) + size


def _string(data: bytes) -> bytes:
    if len(data) == 1 and data[0] < _SINGLE:
        return data
    return _prefix(len(data), _STRING) + data


def _number(value: int) -> bytes:
    return _string(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _list(items: bytes) -> bytes:
    return _prefix(len(items), _LIST) + items


def _body(tx: Mapping[str, Any]) -> bytes:
    to = bytes.fromhex(tx["to"].removeprefix("0x"))
    return b"".join(
        (
            _number(tx["chainId"]),
            _number(tx["nonce"]),
            _number(tx["maxPriorityFeePerGas"]),
            _number(tx["maxFeePerGas"]),
            _number(tx["gas"]),
            _string(to),
            _number(tx["value"]),
            _string(bytes(tx["data"])),
            _list(b""),
        )
    )


def digest_of(tx: Mapping[str, Any]) -> bytes:
    """What is signed of a transaction."""
    return keccak(_TYPE + _list(_body(tx)))


def assembled(tx: Mapping[str, Any], signature: bytes) -> Signed:
    """A transaction with its signature (r, s, recovery id)."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    raw = _TYPE + _list(_body(tx) + _number(signature[64]) + _number(r) + _number(s))
    return Signed(raw, "0x" + keccak(raw).hex())


class DigestSource(Protocol):
    """Whatever signs digests under one key: memory, or a service."""

    async def signatures(self, address: str, digests: Sequence[bytes]) -> list[bytes]:
        """r, low s and recovery id for each digest."""
        ...


class KeySigner:
    """A signer over a source of signatures.

    Args:
        address: Of the key, lower case.
        source: Who signs.
    """

    def __init__(self, address: str, source: DigestSource) -> None:
        self.address = address
        self._source = source

    async def sign(self, tx: Mapping[str, Any]) -> Signed:
        """Sign one transaction."""
        return (await self.sign_many([tx]))[0]

    async def sign_many(self, txs: Sequence[Mapping[str, Any]]) -> list[Signed]:
        """Sign several at once."""
        found = await self._source.signatures(self.address, [digest_of(tx) for tx in txs])
        return [assembled(tx, signature) for tx, signature in zip(txs, found, strict=True)]

    async def sign_digest(self, digest: bytes) -> bytes:
        """r, s, v over a digest; v is 27 or 28."""
        (found,) = await self._source.signatures(self.address, [digest])
        return found[:64] + bytes([27 + found[64]])
