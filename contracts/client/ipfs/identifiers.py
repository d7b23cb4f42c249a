"""Content identifiers: reading and writing CIDs, and the one check that everything here rests on: does this block belong to it.

Belongs here: varints, the CID type, which hash functions and codecs are allowed, verification of one block.
Does not belong here: how a file becomes blocks (contracts.client.ipfs.building), formats of blocks (dagpb, car).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nexus.errors import NexusError, invalid

Buffer = bytes | bytearray | memoryview
RAW: Final = 0x55
DAG_PB: Final = 0x70
DAG_CBOR: Final = 0x71
DAG_JSON: Final = 0x0129
CODECS: Final = {RAW: "raw", DAG_PB: "dag-pb", DAG_CBOR: "dag-cbor", DAG_JSON: "dag-json"}

IDENTITY: Final = 0x00
SHA2_256: Final = 0x12
_HASHES: Final[dict[int, tuple[str, int, Callable[[Buffer], bytes]]]] = {
    SHA2_256: ("sha2-256", 32, lambda data: hashlib.sha256(data).digest()),
    0x13: ("sha2-512", 64, lambda data: hashlib.sha512(data).digest()),
    0x14: ("sha3-512", 64, lambda data: hashlib.sha3_512(data).digest()),
    0x16: ("sha3-256", 32, lambda data: hashlib.sha3_256(data).digest()),
    0xB220: ("blake2b-256", 32, lambda data: hashlib.blake2b(data, digest_size=32).digest()),
}
BLOCK_BYTES: Final = 2 * 1024 * 1024
"""No block is larger: the network's own limit, and ours on what is held before it is hashed."""
IDENTITY_BYTES: Final = 128
"""An identity CID carries its content in itself; longer ones are refused, as Kubo does."""
_MOST_TEXT: Final = 512
_VARINT_BYTES: Final = 9
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_V0_TEXT: Final = 46
_REMEDY: Final = "give a content identifier such as bafkrei... or Qm..., without ipfs:// and path"


class Malformed(ValueError):  # noqa: N818 said as it is
    """Bytes that are not what they should be; the caller knows from where they came."""


def varint(number: int) -> bytes:
    """The unsigned variable-length form of a number."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int = 0, *, is_minimal: bool = True) -> tuple[int, int]:
    """The number that starts at a place, and the place behind it.

    Raises:
        Malformed: it is cut off, longer than nine bytes, or (where ``is_minimal``) not in its shortest form.
    """
    number = 0
    for count in range(_VARINT_BYTES):
        if at + count >= len(data):
            raise Malformed("a number is cut off")
        byte = data[at + count]
        number |= (byte & 0x7F) << (7 * count)
        if not byte & 0x80:
            if is_minimal and count and not byte:
                raise Malformed("a number is not in its shortest form")
            return number, at + count + 1
    raise Malformed("a number is too long")


@dataclass(frozen=True, slots=True)
class Cid:
    """A parsed content identifier with an allowed codec and hash function."""

    version: int
    codec: int
    function: int
    digest: bytes

    @classmethod
    def of(cls, data: Buffer, codec: int = RAW) -> Cid:
        """Version 1, sha2-256: what all our own content has."""
        return cls(1, codec, SHA2_256, hashlib.sha256(data).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> Cid:
        """The identifier that is exactly these bytes.

        Raises:
            Malformed: it is none, or one with a codec or hash function that is not allowed.
        """
        found, behind = cls.read(data)
        if behind != len(data):
            raise Malformed("there are bytes behind the identifier")
        return found

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> tuple[Cid, int]:
        """The identifier that starts at a place, and the place behind it.

        Raises:
            Malformed: there is none, or one with a codec or hash function that is not allowed.
        """
        if data[at : at + 2] == b"\x12\x20":
            digest = data[at + 2 : at + 34]
            if len(digest) != 32:
                raise Malformed("a CIDv0 is cut off")
            return cls(0, DAG_PB, SHA2_256, bytes(digest)), at + 34
        version, at = read_varint(data, at)
        if version != 1:
            raise Malformed(f"CID version {version} is not known")
        codec, at = read_varint(data, at)
        if codec not in CODECS:
            raise Malformed(f"codec 0x{codec:x} is not allowed")
        function, at = read_varint(data, at)
        length, at = read_varint(data, at)
        _check_length(function, length)
        if at + length > len(data):
            raise Malformed("the digest is cut off")
        return cls(1, codec, function, bytes(data[at : at + length])), at + length

    @property
    def multihash(self) -> bytes:
        """Function, length, digest."""
        return varint(self.function) + varint(len(self.digest)) + self.digest

    def __bytes__(self) -> bytes:
        if self.version == 0:
            return self.multihash
        return b"\x01" + varint(self.codec) + self.multihash

    def __str__(self) -> str:
        if self.version == 0:
            return _to_base58(bytes(self))
        return "b" + base64.b32encode(bytes(self)).decode().rstrip("=").lower()

    def names_the_same(self, other: Cid) -> bool:
        """Whether both stand for the same block, whatever their version."""
        return (self.codec, self.function, self.digest) == (other.codec, other.function, other.digest)

    def belongs_to(self, data: Buffer) -> bool:
        """Whether these bytes are the block of this identifier."""
        if len(data) > BLOCK_BYTES:
            return False
        if self.function == IDENTITY:
            return hmac.compare_digest(data, self.digest)
        return hmac.compare_digest(_HASHES[self.function][2](data), self.digest)


def parse(text: str) -> Cid:
    """The identifier that a person or a service wrote.

    Raises:
        NexusError: category ``invalid``.
    """
    try:
        return Cid.from_bytes(_decoded(text))
    except ValueError as error:
        raise invalid(f"not a content identifier: {error}", field="cid", value=text, remedy=_REMEDY) from error


def same(one: str, other: str) -> bool:
    """Whether two written identifiers name the same block; False where one is none."""
    try:
        return parse(one).names_the_same(parse(other))
    except NexusError:
        return False


def _check_length(function: int, length: int) -> None:
    if function == IDENTITY:
        if length > IDENTITY_BYTES:
            raise Malformed(f"an identity CID of {length} bytes; at most {IDENTITY_BYTES} are allowed")
    elif function not in _HASHES:
        raise Malformed(f"hash function 0x{function:x} is not allowed")
    elif length != _HASHES[function][1]:
        raise Malformed(f"a {_HASHES[function][0]} digest of {length} bytes")


def _decoded(text: str) -> bytes:
    if not text or len(text) > _MOST_TEXT or not text.isascii():
        raise Malformed("it is empty, too long, or has other characters")
    if len(text) == _V0_TEXT and text.startswith("Qm"):
        return _from_base58(text)
    base, body = text[0], text[1:]
    if base in "bB":
        return _from_base32(body, is_upper=base == "B")
    if base in "fF":
        return bytes.fromhex(body) if body.isalnum() else _refuse(base)
    if base == "z":
        return _from_base58(body)
    return _refuse(base)


def _refuse(base: str) -> bytes:
    raise Malformed(f"base {base!r} is not known, or a character does not belong to it")


def _from_base32(body: str, *, is_upper: bool) -> bytes:
    if body != (body.upper() if is_upper else body.lower()):
        raise Malformed("base32 of mixed case")
    data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    if base64.b32encode(data).decode().rstrip("=") != body.upper():
        raise Malformed("base32 with left-over bits")
    return data


def _from_base58(body: str) -> bytes:
    number = 0
    for character in body:
        value = _BASE58.find(character)
        if value < 0:
            raise Malformed(f"{character!r} is not in base58")
        number = number * 58 + value
    zeros = len(body) - len(body.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _to_base58(data: bytes) -> str:
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        out = _BASE58[rest] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out
