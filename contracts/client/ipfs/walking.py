"""Files as walks over their blocks: in order, within limits, what each node promises compared with what its children are.

Belongs here: files, the names in a directory, a random leaf. Does not belong here: where blocks come from (reading).
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from contracts.client.ipfs.dagpb import Kind, Node, decode
from contracts.client.ipfs.identifiers import DAG_PB, RAW, Cid, Malformed
from nexus.errors import NexusError, invalid

Get = Callable[[Cid, int], Awaitable[bytes]]
DEPTH: Final = 32
BLOCKS: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a walk takes on."""

    size_bytes: int
    depth: int = DEPTH
    blocks: int = BLOCKS


async def file_pieces(root: Cid, get: Get, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The bytes of a file, block by block; holds one block and the links on the way to it.

    Args:
        root: The file.
        get: Gives a verified block for an identifier and its depth; asked depth first.
        limits: How much is taken on.

    Raises:
        NexusError: category ``invalid`` for something that is no file, contradicts itself or is over a limit; whatever
            ``get`` raises.
    """
    pending: list[tuple[Cid, int | None, int]] = [(root, None, 0)]
    count = total = 0
    while pending:
        cid, promised, depth = pending.pop()
        count += 1
        if count > limits.blocks:
            raise _refused(root, f"more than {limits.blocks} blocks")
        block = await get(cid, depth)
        if cid.codec == RAW:
            piece, size = block, len(block)
        else:
            node = file_of(cid, block)
            piece, size = node.unixfs.data, len(node.unixfs.data) + sum(node.unixfs.block_sizes)
            if node.links and depth == limits.depth:
                raise _refused(root, f"deeper than {limits.depth}")
            children = zip(node.links, node.unixfs.block_sizes, strict=True)
            pending.extend((link.cid, size, depth + 1) for link, size in reversed(list(children)))
        if promised is not None and promised != size:
            raise _refused(root, f"{cid} has {size} bytes where {promised} were promised")
        if (size if promised is None else total + len(piece)) > limits.size_bytes:
            raise _refused(root, f"larger than {limits.size_bytes} bytes")
        total += len(piece)
        if piece:
            yield piece


def file_of(cid: Cid, block: bytes) -> Node:
    """The node of a file.

    Raises:
        NexusError: category ``invalid``: it is none.
    """
    node = node_of(cid, block)
    if node.unixfs.kind not in (Kind.FILE, Kind.RAW):
        raise _refused(cid, f"a {node.unixfs.kind.name.lower()}, not a file")
    return node


def node_of(cid: Cid, block: bytes) -> Node:
    """The node in a block.

    Raises:
        NexusError: category ``invalid``: it is none.
    """
    if cid.codec != DAG_PB:
        raise _refused(cid, "neither a file nor a directory")
    try:
        return decode(block)
    except Malformed as error:
        raise _refused(cid, str(error)) from error


async def random_leaf(root: Cid, get: Get, chance: random.Random) -> Cid:
    """Follow links by chance down to a block without any; each block on the way was had and verified.

    Raises:
        NexusError: what ``get`` raises, or a graph deeper than allowed.
    """
    cid = root
    for depth in range(DEPTH + 1):
        block = await get(cid, depth)
        if cid.codec != DAG_PB:
            return cid
        links = node_of(cid, block).links
        if not links:
            return cid
        cid = chance.choices(links, [max(1, link.tsize) for link in links])[0].cid
    raise _refused(root, f"deeper than {DEPTH}")


def _refused(cid: Cid, reason: str) -> NexusError:
    return invalid(
        f"this content cannot be taken: {reason}", field="cid", value=cid, remedy="ask whoever gave you the identifier"
    )
