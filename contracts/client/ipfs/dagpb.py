"""Nodes of files and directories: dag-pb with UnixFS inside, written as Kubo writes them and read strictly.

Belongs here: the two protobuf messages. Does not belong here: how a file is cut (building), walking a graph (walking).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from contracts.client.ipfs.identifiers import DAG_PB, Cid, Malformed, read_varint, varint

MURMUR3: Final = 0x22
_VARINT, _BYTES = 0, 2
_MOST_LINKS: Final = 65_536


class Kind(IntEnum):
    """What a UnixFS node is."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    SHARD = 5


@dataclass(frozen=True, slots=True)
class Link:
    """A child: its identifier, its name (empty in files), and the bytes of all its blocks."""

    cid: Cid
    name: str
    tsize: int


@dataclass(frozen=True, slots=True)
class UnixFs:
    """The message inside a node."""

    kind: Kind
    data: bytes = b""
    size: int | None = None
    block_sizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One decoded dag-pb block."""

    unixfs: UnixFs
    links: tuple[Link, ...]


def link_bytes(link: Link) -> bytes:
    """One link as it stands in a node."""
    name = link.name.encode()
    body = _field(1, bytes(link.cid)) + _field(2, name) + b"\x18" + varint(link.tsize)
    return _field(2, body)


def encode(unixfs: UnixFs, links: Sequence[Link]) -> bytes:
    """The block of a node; links stand before data, as in every implementation."""
    return b"".join(map(link_bytes, links)) + _field(1, _unixfs_bytes(unixfs))


def file_node(links: Sequence[Link], sizes: Sequence[int]) -> tuple[Cid, bytes]:
    """The node of a file (or of a part of one) over its children."""
    block = encode(UnixFs(Kind.FILE, size=sum(sizes), block_sizes=tuple(sizes)), links)
    return Cid.of(block, DAG_PB), block


def decode(block: bytes) -> Node:
    """Read a node.

    Raises:
        Malformed: it is no UnixFS node, or one that contradicts itself.
    """
    links: list[Link] = []
    data: bytes | None = None
    for number, kind, value in _fields(block):
        if number == 2 and kind == _BYTES and isinstance(value, bytes):
            links.append(_read_link(value))
            if len(links) > _MOST_LINKS:
                raise Malformed("a node with too many links")
        elif number == 1 and kind == _BYTES and isinstance(value, bytes) and data is None:
            data = value
        else:
            raise Malformed(f"field {number} does not belong into a node")
    if data is None:
        raise Malformed("a node without data: not a file or directory")
    node = Node(_read_unixfs(data), tuple(links))
    _check(node)
    return node


def _check(node: Node) -> None:
    unixfs = node.unixfs
    if unixfs.kind in (Kind.FILE, Kind.RAW):
        if len(unixfs.block_sizes) != len(node.links):
            raise Malformed("a file whose sizes and links differ in number")
        total = len(unixfs.data) + sum(unixfs.block_sizes)
        if unixfs.size is not None and unixfs.size != total:
            raise Malformed("a file whose parts do not add up to its size")
    elif unixfs.kind is Kind.SHARD:
        fanout = unixfs.fanout or 0
        if unixfs.hash_type != MURMUR3 or not 8 <= fanout <= 1024 or fanout & (fanout - 1):
            raise Malformed("a sharded directory of an unknown kind")
        if len(node.links) > fanout:
            raise Malformed("a sharded directory with more links than places")


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + varint(len(value)) + value


def _unixfs_bytes(unixfs: UnixFs) -> bytes:
    out = bytearray(b"\x08" + varint(unixfs.kind))
    if unixfs.data:
        out += _field(2, unixfs.data)
    if unixfs.size is not None:
        out += b"\x18" + varint(unixfs.size)
    for size in unixfs.block_sizes:
        out += b"\x20" + varint(size)
    if unixfs.hash_type is not None:
        out += b"\x28" + varint(unixfs.hash_type)
    if unixfs.fanout is not None:
        out += b"\x30" + varint(unixfs.fanout)
    return bytes(out)


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = read_varint(data, at, is_minimal=False)
            yield number, kind, value
        elif kind == _BYTES:
            length, at = read_varint(data, at)
            if at + length > len(data):
                raise Malformed("a field is cut off")
            yield number, kind, data[at : at + length]
            at += length
        elif kind == 5 and at + 4 <= len(data):
            yield number, kind, data[at : at + 4]
            at += 4
        else:
            raise Malformed("a field of an unknown type")


def _read_link(data: bytes) -> Link:
    cid: Cid | None = None
    name, tsize = "", 0
    for number, _, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            cid = Cid.from_bytes(value)
        elif number == 2 and isinstance(value, bytes):
            name = _text(value)
        elif number == 3 and isinstance(value, int):
            tsize = value
        else:
            raise Malformed(f"field {number} does not belong into a link")
    if cid is None:
        raise Malformed("a link without an identifier")
    return Link(cid, name, tsize)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a name that is not UTF-8") from error


def _read_unixfs(data: bytes) -> UnixFs:
    numbers: dict[int, int] = {}
    sizes: list[int] = []
    body = b""
    for number, _, value in _fields(data):
        if number == 2 and isinstance(value, bytes):
            body = value
        elif number == 4 and isinstance(value, bytes):
            sizes += _packed(value)
        elif number == 4 and isinstance(value, int):
            sizes.append(value)
        elif number in (1, 3, 5, 6, 7) and isinstance(value, int):
            numbers[number] = value
        elif number != 8:  # 7 and 8 are mode and time: not ours to keep, no reason to refuse
            raise Malformed(f"field {number} does not belong into UnixFS")
    try:
        kind = Kind(numbers[1])
    except (KeyError, ValueError) as error:
        raise Malformed("UnixFS data of an unknown type") from error
    return UnixFs(kind, body, numbers.get(3), tuple(sizes), numbers.get(5), numbers.get(6))


def _packed(value: bytes) -> list[int]:
    out, at = [], 0
    while at < len(value):
        number, at = read_varint(value, at, is_minimal=False)
        out.append(number)
    return out
