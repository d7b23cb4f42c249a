"""From bytes to a file's identifier under the profile ``unixfs-v1-2025`` (IPIP-499), without a node and in bounded memory.

1 MiB chunks, raw leaves, 1,024 links a node, balanced: every leaf as deep as the others.
Belongs here: the tree. Does not belong here: reading files (cids), directories.
"""

from __future__ import annotations

from typing import Final

from contracts.client.ipfs.dagpb import Link, file_node
from contracts.client.ipfs.identifiers import RAW, Buffer, Cid

CHUNK_BYTES: Final = 1024 * 1024
LINKS: Final = 1024


class Tree:
    """Takes whole chunks (the last may be short) and ends with the identifier of the root.

    Holds at most 1,024 links a level: one level a thousandfold of size, so three for a terabyte.
    """

    def __init__(self) -> None:
        self._levels: list[list[tuple[Link, int]]] = [[]]
        self.size = 0

    def add(self, chunk: Buffer) -> None:
        """The next chunk."""
        self.size += len(chunk)
        self._put(0, Link(Cid.of(chunk, RAW), "", len(chunk)), len(chunk))

    def root(self) -> Link:
        """The identifier of the whole, and the bytes of all its blocks. Ends the tree."""
        if not self.size:
            return Link(Cid.of(b"", RAW), "", 0)
        level = 0
        while level + 1 < len(self._levels) or len(self._levels[level]) > 1:
            if self._levels[level]:
                self._pack(level)
            level += 1
        return self._levels[level][0][0]

    def _put(self, level: int, link: Link, size: int) -> None:
        if level == len(self._levels):
            self._levels.append([])
        if len(self._levels[level]) == LINKS:
            self._pack(level)
        self._levels[level].append((link, size))

    def _pack(self, level: int) -> None:
        children = self._levels[level]
        self._levels[level] = []
        links, sizes = [link for link, _ in children], [size for _, size in children]
        cid, block = file_node(links, sizes)
        self._put(level + 1, Link(cid, "", len(block) + sum(link.tsize for link in links)), sum(sizes))


class Rechunker:
    """Feeds a tree from pieces of any length."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._held = bytearray()

    def feed(self, piece: Buffer) -> None:
        """The next piece."""
        view, at = memoryview(piece), 0
        if self._held:
            at = min(CHUNK_BYTES - len(self._held), len(view))
            self._held += view[:at]
            if len(self._held) == CHUNK_BYTES:
                self._tree.add(self._held)
                self._held = bytearray()
        while len(view) - at >= CHUNK_BYTES:
            self._tree.add(view[at : at + CHUNK_BYTES])
            at += CHUNK_BYTES
        self._held += view[at:]

    def root(self) -> Link:
        """The identifier of all that was fed."""
        if self._held:
            self._tree.add(self._held)
        return self._tree.root()
