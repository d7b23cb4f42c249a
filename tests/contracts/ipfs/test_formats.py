"""Readers of bytes from strangers: they take what is right, refuse the rest by name, and never fail otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import cid as peer
import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.ipfs import car, dagpb, identifiers
from contracts.client.ipfs.dagpb import Kind, Link, UnixFs
from contracts.client.ipfs.directories import murmur3
from contracts.client.ipfs.identifiers import BLOCK_BYTES, DAG_PB, Cid, Malformed, parse, read_varint, same, varint
from nexus.errors import NexusError

pytestmark = pytest.mark.unit

CIDS = st.builds(
    Cid.of,
    st.binary(max_size=40),
    st.sampled_from([identifiers.RAW, DAG_PB, identifiers.DAG_CBOR, identifiers.DAG_JSON]),
)
LINKS = st.lists(st.builds(Link, CIDS, st.text(max_size=8), st.integers(0, 1 << 60)), max_size=5)


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=3))
def test_varint__any_number__is_read_again(number: int, behind: bytes) -> None:
    assert read_varint(varint(number) + behind) == (number, len(varint(number)))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 10])
def test_varint__cut_off_or_too_long__is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_varint(data)


@given(CIDS)
def test_cid__any__is_what_another_library_says(ours: Cid) -> None:
    theirs = peer.from_string(str(ours))
    assert theirs.buffer == bytes(ours)
    assert Cid.from_bytes(bytes(ours)) == parse(str(ours)) == ours
    assert parse("f" + bytes(ours).hex()) == ours


def test_cid__version_0__names_the_same_block_as_version_1() -> None:
    old = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
    new = str(peer.from_string(old).to_v1().encode("base32").decode())
    assert str(parse(old)) == old
    assert same(old, new)
    assert not same(old, "nonsense")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5",  # cut off
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5ee",  # longer
        "bAfkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",  # mixed case
        "ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
        "f0155d50110" + "00" * 16,  # md5
        "f015512100000000000000000000000000000000000",  # a digest too short
        "f0155008101" + "00" * 129,  # an identity CID too long
        "f01ff0112" + "20" + "00" * 32,  # an unknown codec
        "Qm" + "0" * 44,
        "b" + "a" * 600,
        "bäfkrei",
    ],
)
def test_cid__not_allowed__is_refused_with_its_value(text: str) -> None:
    with pytest.raises(NexusError) as caught:
        parse(text)
    assert caught.value.field == "cid"


@given(st.binary(max_size=80))
def test_cid__any_bytes__are_read_or_refused(data: bytes) -> None:
    try:
        found = Cid.from_bytes(data)
    except Malformed:
        return
    assert Cid.from_bytes(bytes(found)) == found


@given(st.text(max_size=70))
def test_cid__any_text__is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except NexusError:
        return
    assert parse(str(found)) == found


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=100))
def test_block__other_bytes__do_not_belong(data: bytes, other: bytes) -> None:
    for cid in (Cid.of(data), Cid(1, identifiers.RAW, identifiers.IDENTITY, data)):
        assert cid.belongs_to(data)
        assert cid.belongs_to(other) == (data == other)
    assert not Cid.of(bytes(BLOCK_BYTES + 1)).belongs_to(bytes(BLOCK_BYTES + 1))


@given(st.binary(max_size=200))
def test_murmur3__any_name__is_what_another_library_says(name: bytes) -> None:
    assert murmur3(name) == mmh3.hash64(name, 0, x64arch=True, signed=False)[0]


@given(LINKS, st.binary(max_size=20))
def test_dagpb__any_file__is_read_again(links: list[Link], data: bytes) -> None:
    sizes = tuple(link.tsize for link in links)
    unixfs = UnixFs(Kind.FILE, data, len(data) + sum(sizes), sizes)
    node = dagpb.decode(dagpb.encode(unixfs, links))
    assert node.unixfs == unixfs
    assert list(node.links) == links


@given(LINKS, st.integers(0, 400), st.integers(1, 255))
def test_dagpb__a_damaged_node__is_read_or_refused(links: list[Link], at: int, bits: int) -> None:
    block = bytearray(dagpb.encode(UnixFs(Kind.FILE, size=0, block_sizes=(0,) * len(links)), links))
    block[at % len(block)] ^= bits
    try:
        dagpb.decode(bytes(block))
    except Malformed:
        return


@given(st.binary(max_size=200))
def test_dagpb__any_bytes__are_read_or_refused(block: bytes) -> None:
    try:
        dagpb.decode(block)
    except Malformed:
        return


@pytest.mark.parametrize(
    ("unixfs", "links"),
    [
        (UnixFs(Kind.FILE, size=5, block_sizes=(4,)), 1),
        (UnixFs(Kind.FILE, size=4, block_sizes=(4,)), 0),
        (UnixFs(Kind.SHARD, b"\1", hash_type=0x12, fanout=256), 0),
        (UnixFs(Kind.SHARD, b"\1", hash_type=0x22, fanout=100), 0),
        (UnixFs(Kind.SHARD, b"\1", hash_type=0x22, fanout=8), 9),
    ],
)
def test_dagpb__that_contradicts_itself__is_refused(unixfs: UnixFs, links: int) -> None:
    with pytest.raises(Malformed):
        dagpb.decode(dagpb.encode(unixfs, [Link(Cid.of(b"x"), "", 4)] * links))


async def _in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _read(data: bytes, size: int = 1000) -> list[tuple[Cid, bytes]]:
    async def whole() -> list[tuple[Cid, bytes]]:
        reader, out = car.CarReader(_in_pieces(data, size)), []
        while (found := await reader.next()) is not None:
            out.append(found)
        return out

    return asyncio.run(whole())


def _car(blocks: Sequence[bytes]) -> bytes:
    return b"".join(car.write([Cid.of(b"root")], [(Cid.of(block), block) for block in blocks]))


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 60))
def test_car__any_blocks_in_any_pieces__are_read_again(blocks: list[bytes], size: int) -> None:
    assert [data for _, data in _read(_car(blocks), size)] == blocks


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3), st.data())
def test_car__cut_off_anywhere__gives_fewer_blocks_or_is_refused(blocks: list[bytes], data: st.DataObject) -> None:
    whole = _car(blocks)
    cut = data.draw(st.integers(0, len(whole) - 1))
    try:
        found = [block for _, block in _read(whole[:cut])]
    except Malformed:
        return
    assert len(found) < len(blocks)
    assert found == blocks[: len(found)]


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3), st.integers(0, 500), st.integers(1, 255))
def test_car__one_byte_changed__never_gives_a_wrong_block(blocks: list[bytes], at: int, bits: int) -> None:
    damaged = bytearray(_car(blocks))
    damaged[at % len(damaged)] ^= bits
    try:
        found = _read(bytes(damaged))
    except Malformed:
        return
    assert all(cid.belongs_to(block) for cid, block in found)


@given(st.binary(max_size=200))
def test_car__any_bytes__are_read_or_refused(data: bytes) -> None:
    try:
        _read(data)
    except Malformed:
        return


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><html><body>sign in</body></html>", Malformed),
        (b"", Malformed),
        (_car([]) + varint(BLOCK_BYTES * 2), car.TooLarge),
        (_car([]) + varint(41) + bytes(Cid.of(b"one")) + b"other", car.WrongBlock),
    ],
)
def test_car__that_is_none__is_refused_by_kind(data: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        _read(data)
