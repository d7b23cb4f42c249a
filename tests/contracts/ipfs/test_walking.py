"""Walks over hostile graphs: limits hold, promises are compared, names lead nowhere else."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.ipfs.dagpb import Kind, Link, UnixFs, encode, file_node
from contracts.client.ipfs.directories import directory
from contracts.client.ipfs.folders import children_of
from contracts.client.ipfs.identifiers import DAG_CBOR, DAG_PB, RAW, Cid
from contracts.client.ipfs.walking import Limits, file_pieces, random_leaf
from nexus.errors import Category, NexusError
from tests.contracts.ipfs.hostile import graph

pytestmark = pytest.mark.unit
Blocks = dict[str, bytes]


def _kept(blocks: Blocks, block: bytes, codec: int = DAG_PB) -> Cid:
    cid = Cid.of(block, codec)
    blocks[str(cid)] = block
    return cid


async def _walked(root: Cid, blocks: Blocks, limits: Limits | None = None) -> bytes:
    asked = 0

    async def get(cid: Cid, _depth: int) -> bytes:
        nonlocal asked
        asked += 1
        assert asked < 10_000
        return blocks[str(cid)]

    return b"".join([piece async for piece in file_pieces(root, get, limits or Limits(1 << 30))])


@given(st.integers(0, 1000), st.integers(1, 4))
async def test_walk__any_file__gives_its_bytes(seed: int, width: int) -> None:
    film = graph(seed, width=width, leaf_bytes=10)
    assert await _walked(film.root, film.blocks) == film.data


async def test_walk__a_node_that_links_to_one_child_a_thousand_times__ends_at_the_limit() -> None:
    blocks: Blocks = {}
    cid, size = _kept(blocks, b"x" * 1000, RAW), 1000
    for _ in range(4):  # a petabyte out of five blocks
        cid, block = file_node([Link(cid, "", size)] * 1000, [size] * 1000)
        size *= 1000
        _kept(blocks, block)
    with pytest.raises(NexusError, match="larger than"):
        await _walked(cid, blocks)


async def test_walk__endless_children_without_bytes__ends_at_the_limit() -> None:
    blocks: Blocks = {}
    cid = _kept(blocks, b"", RAW)
    for _ in range(3):
        cid, block = file_node([Link(cid, "", 0)] * 500, [0] * 500)
        _kept(blocks, block)
    with pytest.raises(NexusError, match="more than 5000 blocks"):
        await _walked(cid, blocks, Limits(100, blocks=5000))


async def test_walk__deeper_than_files_are__is_refused() -> None:
    blocks: Blocks = {}
    cid = _kept(blocks, b"leaf", RAW)
    for _ in range(40):
        cid, block = file_node([Link(cid, "", 4)], [4])
        _kept(blocks, block)
    with pytest.raises(NexusError, match="deeper than 32"):
        await _walked(cid, blocks)


async def test_walk__a_child_of_another_size_than_promised__is_refused() -> None:
    blocks: Blocks = {}
    leaf = _kept(blocks, b"four", RAW)
    root, block = file_node([Link(leaf, "", 5)], [5])
    _kept(blocks, block)
    with pytest.raises(NexusError, match="4 bytes where 5 were promised"):
        await _walked(root, blocks)


@pytest.mark.parametrize(
    ("block", "codec"),
    [
        (encode(UnixFs(Kind.DIRECTORY), ()), DAG_PB),
        (encode(UnixFs(Kind.SYMLINK, b"/etc/passwd"), ()), DAG_PB),
        (b"\xa0", DAG_CBOR),
        (b"no node", DAG_PB),
        (b"", DAG_PB),
    ],
)
async def test_walk__what_is_no_file__is_refused(block: bytes, codec: int) -> None:
    blocks: Blocks = {}
    with pytest.raises(NexusError) as caught:
        await _walked(_kept(blocks, block, codec), blocks)
    assert caught.value.category is Category.INVALID


async def test_walk__an_older_file_with_bytes_in_its_nodes__is_read() -> None:
    blocks: Blocks = {}
    leaf = _kept(blocks, encode(UnixFs(Kind.FILE, b"leaf", 4), ()))
    raw = _kept(blocks, encode(UnixFs(Kind.RAW, b"old", 3), ()))
    root = _kept(blocks, encode(UnixFs(Kind.FILE, b"head", 11, (4, 3)), [Link(leaf, "", 4), Link(raw, "", 3)]))
    assert await _walked(root, blocks) == b"headleafold"


@given(st.integers(0, 10_000))
async def test_random_leaf__any_chance__ends_at_a_leaf(seed: int) -> None:
    film = graph(3, width=3, leaf_bytes=10)

    async def get(cid: Cid, _depth: int) -> bytes:
        return film.blocks[str(cid)]

    assert (await random_leaf(film.root, get, random.Random(seed))).codec == RAW  # noqa: S311


class _Held:
    """What holds blocks in place of a retrieval."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    async def block(self, cid: str) -> bytes:
        return self._blocks[cid]


async def _names(links: Sequence[Link]) -> dict[str, Cid]:
    root, blocks = directory(links)
    held = _Held({str(cid): block for cid, block in blocks.items()})
    return await children_of(held, root.cid)  # type: ignore[arg-type] # it asks for blocks, nothing else


@pytest.mark.parametrize("count", [0, 1, 300, 6000])
async def test_names__of_any_directory__are_all_there(count: int) -> None:
    wanted = {f"file {number}.txt": Cid.of(str(number).encode()) for number in range(count)}
    assert await _names([Link(cid, name, 5) for name, cid in wanted.items()]) == wanted


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\\b", "a\0b", "a\nb", "\u202egpj.exe", "x" * 256])
async def test_names__that_lead_elsewhere__are_refused(name: str) -> None:
    with pytest.raises(NexusError, match="leads elsewhere"):
        await _names([Link(Cid.of(b"x"), name, 1)])
