"""Identifiers computed without a node are those that every implementation of the profile computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.ipfs import cids
from contracts.client.ipfs.building import Rechunker, Tree
from contracts.client.ipfs.folders import cid_of_folder
from nexus.errors import Category, NexusError
from tests.contracts.ipfs import vectors
from tests.marks import exhaustive

pytestmark = pytest.mark.unit


def test_cid_of_bytes__small_file__is_the_golden_one() -> None:
    assert cids.cid_of_bytes(b"hello world") == vectors.HELLO


@pytest.mark.parametrize(("seed", "size", "expected"), vectors.FILES)
def test_cid_of_file__around_one_chunk__is_the_golden_one(seed: str, size: int, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(vectors.key_stream(seed, size)))
    told: list[int] = []
    assert cids.cid_of_file(path, told.append) == expected
    assert told[-1] == size


@exhaustive
@pytest.mark.parametrize(("seed", "size", "expected"), vectors.GIGABYTE_FILES)
def test_cid__around_a_gigabyte__is_the_golden_one(seed: str, size: int, expected: str) -> None:
    tree = Tree()
    for chunk in vectors.key_stream(seed, size):
        tree.add(chunk)
    assert str(tree.root().cid) == expected


@pytest.mark.parametrize(("last", "expected"), vectors.DIRECTORIES)
def test_cid_of_folder__around_the_sharding_limit__is_the_golden_one(last: int, expected: str, tmp_path: Path) -> None:
    for name in vectors.names(last):
        (tmp_path / name).write_bytes(b"x")
    assert cid_of_folder(tmp_path) == expected


def test_cid_of_folder__empty__is_the_well_known_one(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("left out, as ipfs add does")
    assert cid_of_folder(tmp_path) == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


@given(st.lists(st.binary(max_size=3), max_size=20), st.integers(0, 3), st.integers(-2, 2))
def test_rechunker__any_pieces__give_what_the_whole_gives(pieces: list[bytes], chunks: int, off: int) -> None:
    start = bytes(max(0, chunks * vectors.CHUNK + off))
    fed = Rechunker(Tree())
    for piece in (start, *pieces):
        fed.feed(piece)
    whole = start + b"".join(pieces)
    root = fed.root()
    assert str(root.cid) == cids.cid_of_bytes(whole)
    assert root.tsize >= len(whole)


@given(st.binary(max_size=300))
def test_token_id__of_any_metadata__names_it_again(data: bytes) -> None:
    cid = cids.raw_cid(data)
    token = cids.token_id(cid)
    assert 0 <= token < 1 << 256
    assert cids.cid_of_token(token) == cid
    assert cids.digest(cid) == token.to_bytes(32, "big")
    assert f"f01551220{token:064x}"[9:] == cids.digest(cid).hex()


def test_raw_cid__over_one_block__is_refused() -> None:
    with pytest.raises(NexusError, match="at most 1048576 bytes"):
        cids.raw_cid(bytes(cids.RAW_BYTES + 1))


@pytest.mark.parametrize("cid", [vectors.FILES[1][2], "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", "nonsense", ""])
def test_token_id__of_what_is_no_raw_block__is_refused(cid: str) -> None:
    with pytest.raises(NexusError) as caught:
        cids.token_id(cid)
    assert caught.value.category is Category.INVALID


@pytest.mark.parametrize("token", [-1, 1 << 256])
def test_cid_of_token__no_token__is_refused(token: int) -> None:
    with pytest.raises(NexusError, match="no token has this number"):
        cids.cid_of_token(token)
