"""The client against a real Kubo: what is added has our identifiers, what changes meanwhile is refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from contracts.client.ipfs import car, cids
from contracts.client.ipfs.folders import add_folder, cid_of_folder, fetch_folder
from contracts.client.ipfs.gateways import Retrieval
from contracts.client.ipfs.identifiers import RAW, Cid
from contracts.client.ipfs.node import Ipfs
from contracts.client.ipfs.refusals import Refused
from contracts.client.ipfs.simple import SimpleIpfs, multiaddress
from nexus.errors import Category, NexusError
from tests.contracts.ipfs import vectors
from tests.contracts.ipfs.nodes import Node

pytestmark = pytest.mark.integration


@pytest.fixture
async def node(kubo: Node) -> AsyncIterator[Ipfs]:
    async with Ipfs(kubo.url, timeout_s=20) as found:
        yield found


def _configure(kubo: Node, key: str, value: str) -> None:
    httpx.post(
        f"{kubo.url}/api/v0/config",
        params=[("arg", key), ("arg", value), ("json", "true")],
        timeout=10,
        trust_env=False,
    ).raise_for_status()


@pytest.mark.parametrize("size", [0, 1, vectors.CHUNK, vectors.CHUNK + 1, 3 * vectors.CHUNK + 7])
async def test_add__any_size__has_our_identifier_and_is_kept(size: int, node: Ipfs, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(vectors.key_stream("add", size)))
    told: list[int] = []
    added = await node.add(path, told.append)
    assert added.cid == cids.cid_of_file(path)
    assert added.size_bytes == size == (told[-1] if told else 0)
    assert await node.is_pinned(added.cid)
    assert await node.cat(added.cid) == path.read_bytes()


async def test_add__a_stream__is_added_as_its_bytes(node: Ipfs) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"hello", b"", b" world"):
            yield piece

    assert (await node.add(pieces(), is_pinned=False)).cid == vectors.HELLO


async def test_add__a_node_with_other_defaults__still_gives_ours(node: Ipfs, kubo: Node) -> None:
    data = b"".join(vectors.key_stream("defaults", 2 * vectors.CHUNK))
    for key, value in (
        ("Import.UnixFSChunker", '"size-262144"'),
        ("Import.CidVersion", "0"),
        ("Import.UnixFSRawLeaves", "false"),
    ):
        _configure(kubo, key, value)
    try:
        added = await node.add(data)
    finally:
        for key, value in (
            ("Import.UnixFSChunker", '"size-1048576"'),
            ("Import.CidVersion", "1"),
            ("Import.UnixFSRawLeaves", "true"),
        ):
            _configure(kubo, key, value)
    assert added.cid == cids.cid_of_bytes(data)


@pytest.mark.parametrize("change", ["append", "overwrite", "truncate", "replace", "remove", "touch_back"])
async def test_add__a_file_that_changes_meanwhile__is_refused_and_not_kept(
    change: str, node: Ipfs, tmp_path: Path
) -> None:
    path = tmp_path / "film"
    path.write_bytes(os.urandom(4 * vectors.CHUNK))
    before = path.stat()

    def interfere(sent: int) -> None:
        if sent != 2 * vectors.CHUNK:
            return
        if change == "append":
            with path.open("ab") as out:
                out.write(b"more")
        elif change in ("overwrite", "touch_back"):
            with path.open("r+b") as out:
                out.write(b"other")
            if change == "touch_back":
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif change == "truncate":
            os.truncate(path, 3 * vectors.CHUNK)
        elif change == "replace":
            (tmp_path / "new").write_bytes(os.urandom(4 * vectors.CHUNK))
            (tmp_path / "new").replace(path)
        else:
            path.unlink()

    expected = cids.cid_of_file(path)
    with pytest.raises(NexusError, match="changed while it was added") as caught:
        await node.add(path, interfere)
    assert caught.value.category is Category.CONFLICT
    assert caught.value.field == "path"
    assert not await node.is_pinned(expected)


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
async def test_add__no_file__is_refused(what: str, node: Ipfs, tmp_path: Path) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(NexusError) as caught:
        await node.add(path)
    assert caught.value.field == "path"


async def test_block__put_and_got__is_the_same_and_kept(node: Ipfs) -> None:
    cid = await node.add_block(b'{"title":"A film"}')
    assert cid == cids.raw_cid(b'{"title":"A film"}')
    assert await node.is_pinned(cid)
    assert await node.block(cid, is_local=True) == b'{"title":"A film"}'
    await node.unpin(cid)
    await node.unpin(cid)
    assert not await node.is_pinned(cid)


async def test_block__that_nobody_has__is_not_found_in_time(node: Ipfs) -> None:
    for is_local in (True, False):
        with pytest.raises(NexusError) as caught:
            await node.block(cids.raw_cid(b"nobody has this"), is_local=is_local, timeout_s=1.0)
        assert caught.value.category is Category.NOT_FOUND


async def test_dag__exported_and_imported__is_whole(node: Ipfs) -> None:
    added = await node.add(bytes(vectors.CHUNK) + os.urandom(vectors.CHUNK), is_pinned=False)
    reader, blocks = car.CarReader(node.dag_export(added.cid)), []
    while (found := await reader.next()) is not None:
        blocks.append(found)
    assert str(reader.roots[0]) == added.cid == str(blocks[0][0])
    assert await node.dag_import(b"".join(car.write(reader.roots, blocks))) == (added.cid,)
    assert await node.is_pinned(added.cid)


async def test_dag_import__damaged__is_refused(node: Ipfs) -> None:
    missing = Cid.of(os.urandom(8))
    whole = b"".join(car.write([missing], [(missing, b"these bytes are not it")]))
    with pytest.raises(NexusError):
        await node.dag_import(whole)


async def test_node__asked_who_it_is__answers(node: Ipfs) -> None:
    who, version, kept = await asyncio.gather(node.id(), node.version(), node.repo())
    assert who.agent.startswith("kubo/")
    assert all("/127.0.0.1/" in address for address in who.addresses)
    assert tuple(map(int, version.split(".")[:2])) >= (0, 40)
    assert 0 <= kept.size_bytes <= kept.most_bytes


async def test_folder__added_and_taken_out__is_the_same(node: Ipfs, tmp_path: Path) -> None:
    source = tmp_path / "season"
    (source / "extras" / "empty").mkdir(parents=True)
    (source / "episode 1.mkv").write_bytes(b"".join(vectors.key_stream("episode", vectors.CHUNK + 3)))
    (source / "extras" / "Ünder.txt").write_text("text")
    (source / "extras" / "nothing").write_bytes(b"")
    added = await add_folder(node, source)
    assert added.cid == cid_of_folder(source)
    assert await node.is_pinned(added.cid)
    async with Retrieval(node) as retrieval:
        kept = await fetch_folder(retrieval, added.cid, tmp_path / "out")
    assert kept.files == 3
    assert kept.size_bytes == added.size_bytes
    names = sorted(str(path.relative_to(source)) for path in source.rglob("*"))
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")) == names
    assert all(
        (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()
        for name in names
        if (source / name).is_file()
    )


def test_folder__what_kubo_itself_makes_of_it__is_ours(tmp_path: Path, kubo: Node) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    files = [("file", (f"top%2F{name}", name.encode(), "application/octet-stream")) for name in ("a", "b", "c")]
    answer = httpx.post(f"{kubo.url}/api/v0/add?cid-version=1", files=files, timeout=10, trust_env=False)
    last = answer.text.strip().splitlines()[-1]
    assert f'"Name":"top","Hash":"{cid_of_folder(tmp_path)}"' in last


class _Answers(httpx.AsyncBaseTransport):
    """A node that answers the same to everything."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async for _ in request.stream:  # type: ignore[union-attr] # a client's streams are asynchronous
            pass
        return self._answer


def _odd(status: int, body: bytes) -> Ipfs:
    return Ipfs("http://node", http=httpx.AsyncClient(transport=_Answers(httpx.Response(status, content=body))))


async def test_add__a_node_that_names_it_otherwise__is_not_trusted() -> None:
    with pytest.raises(NexusError, match="otherwise than we do") as caught:
        await _odd(200, b'{"Hash":"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"}').add(b"hello world")
    assert not caught.value.retryable


async def test_block__a_node_that_gives_other_bytes__is_refused() -> None:
    with pytest.raises(Refused):
        await _odd(200, b"other").block(str(Cid.of(b"these", RAW)))


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>hello</html>"), (404, b"not here"), (403, b"no"), (502, b"<html>"), (200, b"[1]")],
)
async def test_node__something_else_answers__is_said(status: int, body: bytes) -> None:
    with pytest.raises(NexusError, match="no IPFS node") as caught:
        await _odd(status, body).id()
    assert caught.value.category is Category.UNAVAILABLE


async def test_add__an_error_in_the_middle_of_the_answer__is_raised() -> None:
    body = b'{"Name":"x"}\n{"Message":"no space left on device","Code":0,"Type":"error"}\n'
    with pytest.raises(NexusError, match="no space left"):
        await _odd(200, body).add(b"hello world")


async def test_node__nothing_answers__says_how_to_start_it() -> None:
    with pytest.raises(NexusError, match="cannot be reached") as caught:
        await Ipfs("http://127.0.0.1:9").id()
    assert caught.value.remedy is not None
    assert "bin/nexus up --with web3" in caught.value.remedy


def test_simple__the_calls_that_still_work__work(kubo: Node) -> None:
    with SimpleIpfs(kubo.url) as simple:
        facts = simple.facts()
        assert facts.version.startswith("0.")
        assert facts.peer_id
        assert facts.size_bytes <= facts.most_bytes


async def test_simple__json_and_links__are_those_that_were_added(node: Ipfs, kubo: Node, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text('{"year": 1999}')
    added = await add_folder(node, tmp_path)

    def look() -> tuple[dict[str, str], object]:
        with SimpleIpfs(kubo.url) as simple:
            links = simple.links(added.cid)
            return links, simple.json(links["facts.json"])

    links, facts = await asyncio.to_thread(look)
    assert facts == {"year": 1999}
    assert links["facts.json"] == cids.cid_of_file(tmp_path / "facts.json")


def test_simple__nothing_answers__is_unavailable() -> None:
    with pytest.raises(NexusError) as caught, SimpleIpfs("http://127.0.0.1:9") as simple:
        simple.facts()
    assert caught.value.category is Category.UNAVAILABLE


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001/http"),
        ("https://ipfs.example", "/dns/ipfs.example/tcp/443/https"),
        ("http://[::1]:5001", "/ip6/::1/tcp/5001/http"),
    ],
)
def test_multiaddress__of_a_url__is_what_the_library_reads(url: str, address: str) -> None:
    assert multiaddress(url) == address
