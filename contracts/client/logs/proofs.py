"""Proofs that need no trust in the node: a header hashes to its block's name, receipts to the root in the header.

With both, and each header naming its parent, logs are as true as the newest block's hash. The bloom of a proven header
says for certain where no log of ours is.

Belongs here: hashes of headers, the tree of receipts, blooms. Does not belong here: asking nodes, what is made of a proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eth_utils.crypto import keccak

from contracts.client.logs.values import Header, Inconsistent, as_bytes, quantity

# In the order in which they are hashed; from the fee on each hard fork added one, and a header without one has none behind.
_FIELDS: tuple[tuple[str, int | None], ...] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
)
_ADDED: tuple[tuple[str, int | None], ...] = (
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
_BLOOM_BITS = 2048
_FULL = 0.25
Nibbles = tuple[int, ...]


def check_header(header: Header) -> None:
    """See that a header hashes to the name that the node gave it.

    Raises:
        Inconsistent: It does not.
    """
    if header_hash(header.raw) != header.hash:
        raise Inconsistent(f"the head of block {header.number} does not hash to its name")


def check_receipts(header: Header, receipts: Sequence[Mapping[str, Any]]) -> None:
    """See that these are all receipts of the block.

    Raises:
        Inconsistent: Their tree has another root than the header says.
    """
    if receipts_root(receipts) != header.receipts_root:
        raise Inconsistent(f"the receipts of block {header.number} do not hash to the root in its head")


def header_hash(said: Mapping[str, Any]) -> str:
    """The name of a block with this head.

    Raises:
        Inconsistent: It has another form.
    """
    values = [_field(said, *field) for field in _FIELDS]
    for field in _ADDED:
        if said.get(field[0]) is None:
            break
        values.append(_field(said, *field))
    return "0x" + keccak(encoded(values)).hex()


def receipts_root(receipts: Sequence[Mapping[str, Any]]) -> str:
    """The root of the tree of these receipts.

    Raises:
        Inconsistent: One has another form.
    """
    leaves = {_nibbles(encoded(_short(index))): _receipt(receipt) for index, receipt in enumerate(receipts)}
    return "0x" + _root(leaves).hex()


def may_have(bloom: bytes, item: bytes) -> bool:
    """Whether a block may have a log with this address or topic; False is certain."""
    digest = keccak(item)
    for start in (0, 2, 4):
        bit = int.from_bytes(digest[start : start + 2], "big") % _BLOOM_BITS
        if not bloom[-1 - bit // 8] >> (bit % 8) & 1:
            return False
    return True


def with_item(bloom: bytes, item: bytes) -> bytes:
    """A bloom to which an address or topic is added."""
    bits = int.from_bytes(bloom, "big")
    digest = keccak(item)
    for start in (0, 2, 4):
        bits |= 1 << int.from_bytes(digest[start : start + 2], "big") % _BLOOM_BITS
    return bits.to_bytes(_BLOOM_BITS // 8, "big")


def is_telling(bloom: bytes) -> bool:
    """Whether so few bits are set that a "maybe" is nearly a "yes": wrong once in 64 times at most."""
    return int.from_bytes(bloom, "big").bit_count() <= _BLOOM_BITS * _FULL


def encoded(value: Any) -> bytes:
    """Bytes, or lists of them, as Ethereum hashes them (RLP)."""
    if isinstance(value, bytes):
        return value if len(value) == 1 and value[0] < 0x80 else _sized(value, 0x80)
    return _sized(b"".join(map(encoded, value)), 0xC0)


def _sized(body: bytes, kind: int) -> bytes:
    if len(body) < 56:
        return bytes((kind + len(body),)) + body
    size = _short(len(body))
    return bytes((kind + 55 + len(size),)) + size + body


def _field(said: Mapping[str, Any], name: str, size: int | None) -> bytes:
    if size is None:
        return _short(quantity(said.get(name)))
    return as_bytes(said.get(name), None if size < 0 else size)


def _short(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _receipt(said: Mapping[str, Any]) -> bytes:
    """A receipt as it is hashed (EIP-2718: the type before the list, unless it is of the first kind)."""
    logs = [
        [as_bytes(log["address"], 20), [as_bytes(topic, 32) for topic in log["topics"]], as_bytes(log["data"])]
        for log in said["logs"]
    ]
    body = encoded(
        [
            _short(quantity(said.get("status"))),
            _short(quantity(said.get("cumulativeGasUsed"))),
            as_bytes(said.get("logsBloom"), 256),
            logs,
        ]
    )
    kind = quantity(said.get("type", "0x0"))
    return body if kind == 0 else bytes([kind]) + body


def _nibbles(key: bytes) -> Nibbles:
    return tuple(part for byte in key for part in (byte >> 4, byte & 15))


def _root(leaves: Mapping[Nibbles, bytes]) -> bytes:
    """The root of a Merkle Patricia tree."""
    return bytes(keccak(encoded(_node(sorted(leaves.items())))))


def _node(leaves: Sequence[tuple[Nibbles, bytes]]) -> Any:
    """A node over leaves that are in order; no key here begins with another one, so that no branch has a value."""
    if not leaves:
        return b""
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return [_packed(first, is_leaf=True), leaves[0][1]]
    shared = next(place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    if shared:
        below = [(key[shared:], value) for key, value in leaves]
        return [_packed(first[:shared], is_leaf=False), _named(_node(below))]
    children = [[(key[1:], value) for key, value in leaves if key[0] == nibble] for nibble in range(16)]
    return [*(_named(_node(child)) for child in children), b""]


def _named(node: Any) -> Any:
    """A node as it stands in its parent: by hash, or itself when that is shorter."""
    if node == b"":
        return b""
    written = encoded(node)
    return node if len(written) < 32 else bytes(keccak(written))


def _packed(nibbles: Nibbles, *, is_leaf: bool) -> bytes:
    is_odd = len(nibbles) % 2
    flagged = (2 * is_leaf + is_odd, *(() if is_odd else (0,)), *nibbles)
    return bytes(flagged[place] << 4 | flagged[place + 1] for place in range(0, len(flagged), 2))
