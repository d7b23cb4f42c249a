"""CAR version 1: many blocks in one stream. Read frame by frame in bounded memory, every block hashed; written for nodes.

Belongs here: the format. Does not belong here: whether the blocks are those that were asked for (reading).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final

from contracts.client.ipfs.identifiers import BLOCK_BYTES, Cid, Malformed, read_varint, varint

_HEADER_BYTES: Final = 64 * 1024
_CID_BYTES: Final = 160
_VARINT_BYTES: Final = 9
_ROOTS, _VERSION = "roots", "version"
_CID_TAG: Final = 42


class WrongBlock(Malformed):
    """A block that does not hash to the identifier beside it."""


class TooLarge(Malformed):
    """A frame that no block needs."""


class CarReader:
    """Reads a stream of pieces as a CAR.

    Args:
        pieces: The stream, in pieces of any length.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._held = bytearray()
        self._is_begun = False
        self.roots: tuple[Cid, ...] = ()

    async def next(self) -> tuple[Cid, bytes] | None:
        """The next block, its hash checked; None at the end of the stream.

        Raises:
            Malformed: this is no CAR, or it is cut off.
            TooLarge: a frame is larger than a block can be.
            WrongBlock: the bytes are not those of the identifier.
        """
        if not self._is_begun:
            header = await self._frame(_HEADER_BYTES)
            if header is None:
                raise Malformed("an empty answer")
            self.roots = _read_header(header)
            self._is_begun = True
        frame = await self._frame(BLOCK_BYTES + _CID_BYTES)
        if frame is None:
            return None
        cid, at = Cid.read(frame)
        data = frame[at:]
        if not cid.belongs_to(data):
            raise WrongBlock(f"{len(data)} bytes that do not hash to {cid}")
        return cid, data

    async def _frame(self, most: int) -> bytes | None:
        length = await self._length()
        if length is None:
            return None
        if length > most:
            raise TooLarge(f"a frame of {length} bytes")
        if not await self._fill(length):
            raise Malformed("the stream ends within a block")
        frame = bytes(memoryview(self._held)[:length])
        del self._held[:length]
        return frame

    async def _length(self) -> int | None:
        for count in range(1, _VARINT_BYTES + 1):
            if not await self._fill(count):
                if count == 1:
                    return None
                raise Malformed("the stream ends within a length")
            if not self._held[count - 1] & 0x80:
                length, _ = read_varint(bytes(self._held[:count]))
                del self._held[:count]
                if not length:
                    raise Malformed("a frame of no length")
                return length
        raise Malformed("a length that is none")

    async def _fill(self, count: int) -> bool:
        while len(self._held) < count:
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._held += piece
        return True


def write(roots: Sequence[Cid], blocks: Iterable[tuple[Cid, bytes]]) -> Iterator[bytes]:
    """The frames of a CAR, header first."""
    cids = b"".join(b"\xd8\x2a" + _cbor_head(2, len(bytes(root)) + 1) + b"\0" + bytes(root) for root in roots)
    header = b"\xa2" + _cbor_text(_ROOTS) + _cbor_head(4, len(roots)) + cids + _cbor_text(_VERSION) + b"\x01"
    yield varint(len(header)) + header
    for cid, data in blocks:
        name = bytes(cid)
        yield varint(len(name) + len(data)) + name + data


def _cbor_head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    for extra, size in ((24, 1), (25, 2), (26, 4)):
        if number < 1 << (8 * size):
            return bytes((major << 5 | extra,)) + number.to_bytes(size, "big")
    raise Malformed("too long for a header")


def _cbor_text(text: str) -> bytes:
    return _cbor_head(3, len(text)) + text.encode()


def _read_header(data: bytes) -> tuple[Cid, ...]:
    """The roots of a header ``{"roots": [...], "version": 1}`` in dag-cbor; nothing else is taken."""
    major, count, at = _read_head(data, 0)
    if (major, count) != (5, 2):
        raise Malformed("not the header of a CAR")
    roots: tuple[Cid, ...] = ()
    seen: set[str] = set()
    for _ in range(2):
        key, at = _read_text(data, at)
        seen.add(key)
        if key == _ROOTS:
            roots, at = _read_roots(data, at)
        elif key == _VERSION:
            major, version, at = _read_head(data, at)
            if (major, version) != (0, 1):
                raise Malformed("not version 1 of the CAR format")
    if seen != {_ROOTS, _VERSION} or at != len(data):
        raise Malformed("not the header of a CAR")
    return roots


def _read_head(data: bytes, at: int) -> tuple[int, int, int]:
    if at >= len(data):
        raise Malformed("a header that is cut off")
    major, extra = data[at] >> 5, data[at] & 31
    if extra < 24:
        return major, extra, at + 1
    size = {24: 1, 25: 2, 26: 4}.get(extra)
    if size is None or at + 1 + size > len(data):
        raise Malformed("a header that is cut off, or of an unknown kind")
    return major, int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    major, length, at = _read_head(data, at)
    if major != 3 or at + length > len(data) or not data[at : at + length].isascii():
        raise Malformed("not the header of a CAR")
    return data[at : at + length].decode("ascii"), at + length


def _read_roots(data: bytes, at: int) -> tuple[tuple[Cid, ...], int]:
    major, count, at = _read_head(data, at)
    if major != 4:
        raise Malformed("roots that are no list")
    roots = []
    for _ in range(count):
        tag, number, at = _read_head(data, at)
        kind, length, at = _read_head(data, at)
        if (tag, number, kind) != (6, _CID_TAG, 2) or length < 2 or at + length > len(data) or data[at]:
            raise Malformed("a root that is no identifier")
        roots.append(Cid.from_bytes(data[at + 1 : at + length]))
        at += length
    return tuple(roots), at
