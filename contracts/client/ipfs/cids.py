"""Identifiers of content, computed here: of bytes, of files, of metadata; and the token id that one stands for.

Belongs here: the functions that others call. Does not belong here: how they are computed (building, directories).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts.client.ipfs.building import CHUNK_BYTES, Rechunker, Tree
from contracts.client.ipfs.identifiers import RAW, SHA2_256, Buffer, Cid, parse
from nexus.errors import invalid

_TOKEN_BITS: Final = 256
RAW_BYTES: Final = 1024 * 1024
"""The most that one raw block of ours holds: the profile's chunk."""


def cid_of_bytes(data: Buffer) -> str:
    """The identifier of these bytes as a file, as ``ipfs add`` gives it under ``unixfs-v1-2025``."""
    chunks = Rechunker(Tree())
    chunks.feed(data)
    return str(chunks.root().cid)


def cid_of_file(path: Path, tell: Callable[[int], None] | None = None) -> str:
    """The identifier of a file; reads it once and holds one chunk.

    Args:
        path: The file.
        tell: Called with the bytes read so far, after each chunk.
    """
    return str(tree_of_file(path, tell).root().cid)


def tree_of_file(path: Path, tell: Callable[[int], None] | None = None) -> Tree:
    """The tree over a file's chunks."""
    tree = Tree()
    if path.stat().st_size < CHUNK_BYTES:  # many small files need no large buffer each
        data = path.read_bytes()
        for at in range(0, len(data), CHUNK_BYTES):
            tree.add(data[at : at + CHUNK_BYTES])
        if tell is not None:
            tell(tree.size)
        return tree
    held = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as source:
        while filled := _fill(source.readinto, held):
            tree.add(held[:filled])
            if tell is not None:
                tell(tree.size)
    return tree


def _fill(read: Callable[[memoryview], int | None], held: memoryview) -> int:
    filled = 0
    while filled < len(held):
        count = read(held[filled:])
        if not count:
            break
        filled += count
    return filled


def raw_cid(data: bytes) -> str:
    """The identifier of one raw block (version 1, sha2-256, base32): of metadata, whose digest is the token id.

    Raises:
        NexusError: category ``invalid`` above 1 MiB, which every node and gateway still takes as one block.
    """
    if len(data) > RAW_BYTES:
        raise invalid(
            f"one raw block holds at most {RAW_BYTES} bytes",
            field="data",
            value=f"{len(data)} bytes",
            remedy="make it shorter, or add it as a file",
        )
    return str(Cid.of(data, RAW))


def digest(cid: str) -> bytes:
    """The sha2-256 digest inside an identifier.

    Raises:
        NexusError: category ``invalid`` where it is none, or has another hash function.
    """
    found = parse(cid)
    if found.function != SHA2_256:
        raise invalid("not a sha2-256 identifier", field="cid", value=cid, remedy="add the content again with ours")
    return found.digest


def token_id(cid: str) -> int:
    """The token that stands for this metadata: the digest as a number.

    Raises:
        NexusError: category ``invalid`` unless it is a raw block with sha2-256 (others could not be found from the number).
    """
    if parse(cid).codec != RAW:
        raise invalid(
            "not a raw block", field="cid", value=cid, remedy="tokens stand for metadata kept as one raw block"
        )
    return int.from_bytes(digest(cid), "big")


def cid_of_token(token: int) -> str:
    """The metadata that a token stands for.

    Raises:
        NexusError: category ``invalid`` where no token can have this number.
    """
    if not 0 <= token < 1 << _TOKEN_BITS:
        raise invalid("no token has this number", field="token_id", value=token, remedy="give 0 to 2^256 - 1")
    return str(Cid(1, RAW, SHA2_256, token.to_bytes(32, "big")))
