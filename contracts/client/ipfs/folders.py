"""Whole folders: added file by file under names as they are, taken back out under names that are safe.

Belongs here: between a folder on disk and a directory in IPFS. Does not belong here: the nodes of directories
(directories, dagpb), single files (node, gateways).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from contracts.client.ipfs.cids import tree_of_file
from contracts.client.ipfs.dagpb import Kind, Link
from contracts.client.ipfs.directories import FANOUT, Blocks, directory, symlink
from contracts.client.ipfs.gateways import Retrieval
from contracts.client.ipfs.identifiers import DAG_PB, Cid, parse
from contracts.client.ipfs.node import Added, Ipfs
from contracts.client.ipfs.walking import node_of
from nexus.errors import NexusError, invalid

Tell = Callable[[int], None]
_DEPTH: Final = 64
_PREFIX: Final = len(f"{FANOUT - 1:X}")


class Kept(NamedTuple):
    """A folder that was taken out."""

    files: int
    size_bytes: int


def cid_of_folder(path: Path) -> str:
    """The identifier of a folder as ``ipfs add -r`` gives it under ``unixfs-v1-2025``: hidden names left out."""
    return str(_link_of(path, 0).cid)


async def add_folder(node: Ipfs, path: Path, tell: Tell | None = None, *, is_pinned: bool = True) -> Added:
    """Add a folder with all beneath it; hidden names are left out, as ``ipfs add -r`` does.

    Args:
        node: The node.
        path: The folder.
        tell: Called with the bytes sent so far.
        is_pinned: Keep it from being collected.

    Raises:
        NexusError: as :meth:`Ipfs.add`; nothing is pinned before all is there.
    """
    done = _Total(tell)
    link = await _added(node, path, done, 0)
    if is_pinned:
        await node.pin(str(link.cid))
    return Added(str(link.cid), done.size, link.tsize)


class _Total:
    def __init__(self, tell: Tell | None) -> None:
        self.size = 0
        self._tell = tell

    def within(self, count: int) -> None:
        if self._tell is not None:
            self._tell(self.size + count)


async def _added(node: Ipfs, path: Path, done: _Total, depth: int) -> Link:
    children = []
    for entry in _entries(path, depth):
        found = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            link = await _added(node, found, done, depth + 1)
        elif entry.is_symlink():
            link, blocks = _symlink(found)
            await _put(node, blocks)
        else:
            added = await node.add(found, done.within, is_pinned=False)
            done.size += added.size_bytes
            link = Link(parse(added.cid), "", added.dag_bytes)
        children.append(Link(link.cid, entry.name, link.tsize))
    link, blocks = directory(children)
    await _put(node, blocks)
    return link


async def _put(node: Ipfs, blocks: Blocks) -> None:
    for cid, block in blocks.items():
        await node.put_block(cid, block)


def _symlink(path: Path) -> tuple[Link, Blocks]:
    return symlink(str(path.readlink()))


def _link_of(path: Path, depth: int) -> Link:
    children = []
    for entry in _entries(path, depth):
        found = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            link = _link_of(found, depth + 1)
        elif entry.is_symlink():
            link, _ = _symlink(found)
        else:
            link = tree_of_file(found).root()
        children.append(Link(link.cid, entry.name, link.tsize))
    return directory(children)[0]


def _entries(path: Path, depth: int) -> list[os.DirEntry[str]]:
    if depth > _DEPTH:
        raise invalid(
            f"folders deeper than {_DEPTH}", field="path", value=path, remedy="add the inner ones by themselves"
        )
    try:
        with os.scandir(path) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise invalid(
            f"the folder cannot be read ({error.strerror})", field="path", value=path, remedy="make it readable for us"
        ) from error
    for entry in entries:
        if not entry.name.isprintable() or not (entry.is_dir() or entry.is_file() or entry.is_symlink()):
            raise invalid(
                "neither file nor folder, or a name that is not text",
                field="path",
                value=ascii(entry.path),
                remedy="move it away",
            )
    return sorted(entries, key=lambda entry: entry.name.encode())


async def fetch_folder(
    retrieval: Retrieval, cid: str, path: Path, tell: Callable[[str, int, int], None] | None = None
) -> Kept:
    """Take a directory out into a new folder; symbolic links and names that lead elsewhere are refused.

    Args:
        retrieval: Who is asked.
        cid: The directory.
        path: The folder to make; it must not be there.
        tell: Called with a file's name, its bytes so far and its bytes.

    Raises:
        NexusError: as :meth:`Retrieval.stream`; what was taken out before stays.
    """
    _check_new(path)
    pending = [(parse(cid), path, 0)]
    files = size = 0
    while pending:
        wanted, target, depth = pending.pop()
        block = await retrieval.block(str(wanted))
        node = node_of(wanted, block) if wanted.codec == DAG_PB else None
        kind = node.unixfs.kind if node is not None else Kind.FILE
        if kind in (Kind.FILE, Kind.RAW):
            size += await retrieval.fetch_to(str(wanted), target, partial(tell, target.name) if tell else None)
            files += 1
        elif kind in (Kind.DIRECTORY, Kind.SHARD) and depth <= _DEPTH:
            target.mkdir()
            children = await children_of(retrieval, wanted)
            pending.extend((child, target / name, depth + 1) for name, child in children.items())
        else:
            raise _refused(wanted, f"a {kind.name.lower()} that is not taken out")
    return Kept(files, size)


async def children_of(retrieval: Retrieval, cid: Cid) -> dict[str, Cid]:
    """The names in a directory, sharded or not, and what they stand for.

    Raises:
        NexusError: category ``invalid`` for a name that leads elsewhere, or stands there twice.
    """
    found: dict[str, Cid] = {}
    pending = [(cid, 0, False)]
    while pending:
        wanted, depth, is_shard = pending.pop()
        node = node_of(wanted, await retrieval.block(str(wanted)))
        cut = _PREFIX if node.unixfs.kind is Kind.SHARD else 0
        if depth > 8 or (is_shard and not cut) or (not is_shard and depth):
            raise _refused(cid, "a sharded directory that contradicts itself")
        for link in node.links:
            name = link.name[cut:]
            if cut and not name:
                pending.append((link.cid, depth + 1, True))
                continue
            if not _is_safe(name) or name in found:
                raise _refused(cid, f"the name {name!a}, which leads elsewhere or stands there twice")
            found[name] = link.cid
    return found


def _check_new(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise invalid("something has this name", field="path", value=path, remedy="give the name of a folder to make")
    if not path.parent.is_dir():
        raise invalid("there is no such folder", field="path", value=path.parent, remedy="make it first")


def _is_safe(name: str) -> bool:
    return (
        0 < len(name.encode()) <= 255
        and name not in (".", "..")
        and "/" not in name
        and "\\" not in name
        and name.isprintable()
    )


def _refused(cid: Cid, reason: str) -> NexusError:
    return invalid(
        f"this directory cannot be taken out: {reason}", field="cid", value=cid, remedy="take single files from it"
    )


async def is_directory(retrieval: Retrieval, cid: str) -> bool:
    """Whether this is a directory; what is neither file nor directory is refused when it is taken.

    Raises:
        NexusError: nobody has it.
    """
    wanted = parse(cid)
    if wanted.codec != DAG_PB:
        return False
    return node_of(wanted, await retrieval.block(cid)).unixfs.kind in (Kind.DIRECTORY, Kind.SHARD)
