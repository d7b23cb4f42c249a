"""Whatever a source does, a caller gets the right bytes or an error; liars are put out, and the next is asked."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from contracts.client.ipfs.cids import cid_of_file
from contracts.client.ipfs.dagpb import decode
from contracts.client.ipfs.gateways import Retrieval
from contracts.client.ipfs.identifiers import Cid
from contracts.client.ipfs.node import Ipfs
from contracts.client.ipfs.refusals import Figures
from nexus.errors import Category, NexusError
from tests.contracts.ipfs import vectors
from tests.contracts.ipfs.hostile import Graph, Hostile, gateway, graph
from tests.contracts.ipfs.nodes import Node

pytestmark = pytest.mark.integration

LIES = {
    "wrong_bytes": "wrong_bytes",
    "truncated": "truncated",
    "ends_early": "truncated",
    "html": "html",
    "too_large": "too_large",
    "unasked_block": "unasked_block",
}
FAILURES = ["missing", "busy", "cut", "silent", "compressed"]


@pytest.fixture(scope="module")
def film() -> Graph:
    return graph()


@pytest.fixture
async def run() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def _two(
    run: AsyncExitStack, film: Graph, behaviour: str, after: int
) -> tuple[Hostile, Hostile, Retrieval, Figures]:
    bad = await run.enter_async_context(gateway(film.blocks, behaviour, after))
    good = await run.enter_async_context(gateway(film.blocks))
    figures = Figures()
    retrieval = await run.enter_async_context(Retrieval(None, [bad.url, good.url], figures=figures, timeout_s=0.5))
    return bad, good, retrieval, figures


def _refused(figures: Figures, source: Hostile, reason: str) -> float | None:
    labels = {"source": source.url.removeprefix("http://"), "reason": reason}
    return figures.registry.get_sample_value("nexus_ipfs_refused_total", labels)


@pytest.mark.parametrize("after", [0, 1, 2, 7])
@pytest.mark.parametrize("lie", LIES)
async def test_fetch__a_stream_that_lies__is_refused_counted_and_put_out(
    lie: str, after: int, film: Graph, run: AsyncExitStack
) -> None:
    bad, good, retrieval, figures = await _two(run, film, lie, after)
    assert await retrieval.fetch(str(film.root)) == film.data
    states = {shown.source: shown.state for shown in retrieval.standing()}
    assert states == {bad.url.removeprefix("http://"): "out", good.url.removeprefix("http://"): "well"}
    reason = LIES[lie] if lie != "html" or not after else "too_large"
    counted = [_refused(figures, bad, kind) for kind in (reason, "truncated")]
    assert 1.0 in counted
    asked = len(bad.asked)
    assert await retrieval.fetch(str(film.root)) == film.data
    assert len(bad.asked) == asked


@pytest.mark.parametrize("lie", LIES)
async def test_block__a_gateway_that_lies__is_refused_and_the_next_is_asked(
    lie: str, film: Graph, run: AsyncExitStack
) -> None:
    bad, _, retrieval, figures = await _two(run, film, lie, 0)
    assert await retrieval.block(str(film.root)) == film.blocks[str(film.root)]
    reason = lie if lie in ("html", "too_large") else "wrong_bytes"
    assert _refused(figures, bad, reason) == 1.0


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("failure", FAILURES)
async def test_fetch__a_gateway_that_fails__rests_and_the_next_goes_on(
    failure: str, after: int, film: Graph, run: AsyncExitStack
) -> None:
    bad, _, retrieval, _ = await _two(run, film, failure, after)
    assert await retrieval.fetch(str(film.root)) == film.data
    assert retrieval.standing()[0].state == "resting"
    assert len(bad.asked) == 1


@pytest.mark.parametrize("behaviour", ["unordered", "no_twins", "no_cars"])
async def test_fetch__a_gateway_with_other_ways__is_asked_block_by_block(
    behaviour: str, film: Graph, run: AsyncExitStack
) -> None:
    odd = await run.enter_async_context(gateway(film.blocks, behaviour))
    retrieval = await run.enter_async_context(Retrieval(None, [odd.url]))
    assert await retrieval.fetch(str(film.root)) == film.data
    assert retrieval.standing()[0].state == "well"
    assert "raw" in odd.asked


async def test_fetch__blocks_behind_the_last_one__are_refused_though_the_content_is_whole(
    film: Graph, run: AsyncExitStack
) -> None:
    bad = await run.enter_async_context(gateway(film.blocks, "more_behind"))
    retrieval = await run.enter_async_context(Retrieval(None, [bad.url]))
    assert await retrieval.fetch(str(film.root)) == film.data
    assert retrieval.standing()[0].state == "out"


@pytest.mark.parametrize("lie", LIES)
async def test_fetch__only_liars__is_an_error_that_says_what_each_did(
    lie: str, film: Graph, run: AsyncExitStack
) -> None:
    urls = [(await run.enter_async_context(gateway(film.blocks, lie, after))).url for after in (0, 2)]
    retrieval = await run.enter_async_context(Retrieval(None, urls))
    with pytest.raises(NexusError) as caught:
        await retrieval.fetch(str(film.root))
    assert caught.value.category is Category.UNAVAILABLE
    assert caught.value.retryable


@pytest.mark.parametrize("lie", ["wrong_bytes", "truncated", "html"])
async def test_fetch_to__a_liar_in_the_middle__leaves_a_whole_file_or_none(
    lie: str, film: Graph, run: AsyncExitStack, tmp_path: Path
) -> None:
    _, _, retrieval, _ = await _two(run, film, lie, 5)
    told: list[tuple[int, int]] = []
    assert await retrieval.fetch_to(str(film.root), tmp_path / "film", lambda *now: told.append(now)) == len(film.data)
    assert (tmp_path / "film").read_bytes() == film.data
    assert told[-1] == (len(film.data), len(film.data))
    alone = await run.enter_async_context(
        Retrieval(None, [(await run.enter_async_context(gateway(film.blocks, lie, 5))).url])
    )
    with pytest.raises(NexusError):
        await alone.fetch_to(str(film.root), tmp_path / "other")
    assert os.listdir(tmp_path) == ["film"]  # noqa: PTH208


async def test_fetch__the_node_first__gateways_only_for_what_it_lacks(
    kubo: Node, film: Graph, run: AsyncExitStack
) -> None:
    node = await run.enter_async_context(Ipfs(kubo.url))
    other = graph(2)
    good = await run.enter_async_context(gateway(other.blocks))
    retrieval = await run.enter_async_context(Retrieval(node, [good.url], node_timeout_s=1))
    added = await node.add(film.data)
    assert await retrieval.fetch(added.cid) == film.data
    assert good.asked == []
    assert await retrieval.fetch(str(other.root)) == other.data
    assert good.asked == ["car"]


async def test_fetch__a_real_gateway__gives_streams_that_hold(kubo: Node, run: AsyncExitStack) -> None:
    data = bytes(3 * 1024 * 1024 + 5) + b"an end"
    node = await run.enter_async_context(Ipfs(kubo.url))
    added = await node.add(data)
    figures = Figures()
    retrieval = await run.enter_async_context(Retrieval(None, [kubo.gateway], figures=figures))
    assert await retrieval.fetch(added.cid) == data
    source = {"source": kubo.gateway.removeprefix("http://")}
    assert figures.registry.get_sample_value("nexus_ipfs_blocks_total", source) == 5.0
    assert retrieval.standing()[0].state == "well"


async def test_fetch__over_the_limit_or_no_file__is_refused(film: Graph, run: AsyncExitStack) -> None:
    good = await run.enter_async_context(gateway(film.blocks))
    retrieval = await run.enter_async_context(Retrieval(None, [good.url]))
    with pytest.raises(NexusError, match="larger than"):
        await retrieval.fetch(str(film.root), most_bytes=len(film.data) - 1)
    with pytest.raises(NexusError, match="not a content identifier"):
        await retrieval.fetch("nonsense")
    assert retrieval.standing()[0].state == "well"


async def test_block__an_identity_cid__is_taken_from_itself(run: AsyncExitStack) -> None:
    retrieval = await run.enter_async_context(Retrieval(None, ["http://127.0.0.1:9"]))
    assert await retrieval.fetch(str(Cid(1, 0x55, 0, b"inside"))) == b"inside"


async def test_retrieval__nobody_to_ask__says_what_to_do() -> None:
    with pytest.raises(NexusError, match="neither an IPFS node nor a gateway"):
        Retrieval(None)


async def test_fetch__many_at_once_past_a_liar__are_all_right(film: Graph, run: AsyncExitStack) -> None:
    _, _, retrieval, _ = await _two(run, film, "wrong_bytes", 3)
    found = await asyncio.gather(*(retrieval.fetch(str(film.root)) for _ in range(20)))
    assert set(found) == {film.data}


async def test_fetch__a_node_that_has_only_some_blocks__is_gone_on_from(kubo: Node, run: AsyncExitStack) -> None:
    film = graph(5)
    node = await run.enter_async_context(Ipfs(kubo.url))
    kept = [film.root, *(link.cid for link in decode(film.blocks[str(film.root)]).links)]
    for cid in kept:
        await node.put_block(cid, film.blocks[str(cid)])
    good = await run.enter_async_context(gateway(film.blocks))
    retrieval = await run.enter_async_context(Retrieval(node, [good.url], node_timeout_s=1))
    assert await retrieval.fetch(str(film.root)) == film.data
    assert [shown.state for shown in retrieval.standing()] == ["resting", "well"]
    assert good.asked


async def test_file__of_many_chunks__is_added_and_got_in_little_memory(
    kubo: Node, run: AsyncExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "film"
    with path.open("wb") as out:
        for chunk in vectors.key_stream("memory", 48 * vectors.CHUNK):
            out.write(chunk)
    node = await run.enter_async_context(Ipfs(kubo.url))
    retrieval = await run.enter_async_context(Retrieval(None, [kubo.gateway]))
    tracemalloc.start()
    try:
        added = await node.add(path)
        await retrieval.fetch_to(added.cid, tmp_path / "again")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cid_of_file(tmp_path / "again") == added.cid
    assert peak < 16 * vectors.CHUNK
