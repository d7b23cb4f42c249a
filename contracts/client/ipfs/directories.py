"""Nodes of directories under ``unixfs-v1-2025``: flat up to 256 KiB of block, sharded (HAMT, fanout 256) above.

Belongs here: from named children to the blocks of a directory, and the hash that shards use.
Does not belong here: reading folders from disk (folders), the messages themselves (dagpb).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from contracts.client.ipfs.dagpb import MURMUR3, Kind, Link, UnixFs, encode, link_bytes
from contracts.client.ipfs.identifiers import DAG_PB, Cid

FLAT_BYTES: Final = 256 * 1024
FANOUT: Final = 256
_DATA_BYTES: Final = 4
_MASK: Final = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F

Blocks = dict[Cid, bytes]


def directory(children: Sequence[Link]) -> tuple[Link, Blocks]:
    """The link to a directory of these children (its name still empty), and the blocks it is made of.

    Args:
        children: Links with distinct names, in any order.
    """
    ordered = sorted(children, key=lambda link: link.name.encode())
    if sum(len(link_bytes(link)) for link in ordered) + _DATA_BYTES > FLAT_BYTES:
        blocks: Blocks = {}
        hashed = [(murmur3(link.name.encode()).to_bytes(8, "big"), link) for link in ordered]
        return _shard(hashed, 0, blocks), blocks
    block = encode(UnixFs(Kind.DIRECTORY), ordered)
    return _link(block, ordered), {Cid.of(block, DAG_PB): block}


def symlink(target: str) -> tuple[Link, Blocks]:
    """The link to a node that stands for a symbolic link."""
    data = target.encode()
    block = encode(UnixFs(Kind.SYMLINK, data, size=len(data)), ())
    return _link(block, ()), {Cid.of(block, DAG_PB): block}


def _link(block: bytes, links: Sequence[Link]) -> Link:
    return Link(Cid.of(block, DAG_PB), "", len(block) + sum(link.tsize for link in links))


def _shard(hashed: Sequence[tuple[bytes, Link]], depth: int, blocks: Blocks) -> Link:
    places: dict[int, list[tuple[bytes, Link]]] = {}
    for name_hash, link in hashed:
        places.setdefault(name_hash[depth], []).append((name_hash, link))
    links, bits = [], 0
    for place, held in sorted(places.items()):
        bits |= 1 << place
        child = held[0][1] if len(held) == 1 else _shard(held, depth + 1, blocks)
        links.append(Link(child.cid, f"{place:02X}{child.name}", child.tsize))
    field = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
    block = encode(UnixFs(Kind.SHARD, field, hash_type=MURMUR3, fanout=FANOUT), links)
    link = _link(block, links)
    blocks[link.cid] = block
    return link


def murmur3(data: bytes) -> int:
    """The first 64 bits of MurmurHash3 x64 128 with seed 0, which shards sort names by."""
    one = two = 0
    whole = len(data) // 16 * 16
    for first, second in _words(data[:whole]):
        one = _mixed(one ^ _scrambled(first, _C1, _C2, 31), 27, two, 0x52DCE729)
        two = _mixed(two ^ _scrambled(second, _C2, _C1, 33), 31, one, 0x38495AB5)
    tail = data[whole:].ljust(16, b"\0")
    ((first, second),) = _words(tail)
    two ^= _scrambled(second, _C2, _C1, 33)
    one ^= _scrambled(first, _C1, _C2, 31)
    one, two = one ^ len(data), two ^ len(data)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    return (_final(one) + _final(two)) & _MASK


def _words(data: bytes) -> Iterator[tuple[int, int]]:
    for at in range(0, len(data), 16):
        yield int.from_bytes(data[at : at + 8], "little"), int.from_bytes(data[at + 8 : at + 16], "little")


def _rotated(number: int, by: int) -> int:
    return (number << by | number >> (64 - by)) & _MASK


def _scrambled(word: int, first: int, second: int, by: int) -> int:
    return _rotated(word * first & _MASK, by) * second & _MASK


def _mixed(state: int, by: int, other: int, constant: int) -> int:
    return ((_rotated(state, by) + other) * 5 + constant) & _MASK


def _final(number: int) -> int:
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD & _MASK
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return number ^ number >> 33
