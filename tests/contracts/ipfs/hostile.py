"""A real HTTP server that answers as a trustless gateway does, or lies in a way that is asked for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from contracts.client.ipfs import car
from contracts.client.ipfs.dagpb import Link, decode, file_node
from contracts.client.ipfs.identifiers import BLOCK_BYTES, DAG_PB, Cid, parse, varint

HTML = b"<!DOCTYPE html><html><body>Please sign in to go on.</body></html>"
Blocks = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Graph:
    """A file in blocks."""

    root: Cid
    data: bytes
    blocks: Blocks


def graph(seed: int = 1, *, width: int = 4, leaf_bytes: int = 1000, has_twins: bool = True) -> Graph:
    """A file of two levels over small leaves, some of which stand there twice."""
    chance, blocks, data = random.Random(seed), {}, b""  # noqa: S311 the same each time
    middles, sizes = [], []
    for row in range(width):
        leaves = []
        for column in range(width):
            leaf = b"twin" * 250 if has_twins and column == row else chance.randbytes(leaf_bytes)
            data += leaf
            leaves.append(Link(Cid.of(leaf), "", len(leaf)))
            blocks[str(leaves[-1].cid)] = leaf
        middle, block = file_node(leaves, [link.tsize for link in leaves])
        blocks[str(middle)] = block
        middles.append(Link(middle, "", len(block)))
        sizes.append(sum(link.tsize for link in leaves))
    root, block = file_node(middles, sizes)
    blocks[str(root)] = block
    return Graph(root, data, blocks)


@dataclass
class Hostile:
    """One gateway.

    Behaviours: honest, wrong_bytes, truncated, ends_early, html, too_large, unasked_block, more_behind, cut, silent, unordered,
    no_twins, no_cars, missing, busy, compressed. ``after`` blocks are right before it begins.
    """

    blocks: Blocks
    behaviour: str = "honest"
    after: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = urlsplit(head.split(" ")[1])
        form = parse_qs(target.query).get("format", [""])[0]
        cid = parse(target.path.removeprefix("/ipfs/"))
        self.asked.append(form)
        try:
            await self._respond(writer, form, cid)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _respond(self, writer: asyncio.StreamWriter, form: str, cid: Cid) -> None:
        said = self.behaviour
        status = {"missing": "404 Not Found", "busy": "429 Too Many Requests"}.get(said)
        if said == "no_cars" and form == "car":
            status = "400 Bad Request"
        if status is not None or str(cid) not in self.blocks:
            writer.write(
                f"HTTP/1.1 {status or '404 Not Found'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
            )
        elif said == "html" and not self.after:
            self._head(writer, "text/html; charset=utf-8")
            writer.write(HTML)
        elif said == "silent" and not self.after:
            await asyncio.sleep(3600)
        elif form == "car":
            await self._respond_car(writer, cid)
        else:
            self._respond_block(writer, cid)

    def _respond_block(self, writer: asyncio.StreamWriter, cid: Cid) -> None:
        data, said = self.blocks[str(cid)], self.behaviour
        if said == "wrong_bytes":
            data = bytes((data[0] ^ 1,)) + data[1:]
        elif said in ("truncated", "ends_early"):
            data = data[: len(data) // 2]
        elif said == "too_large":
            data = bytes(BLOCK_BYTES + 1)
        elif said == "html":
            data = HTML
        elif said == "unasked_block":
            data = b"right in itself, but nobody asked"
        length = len(data) + (10 if said == "cut" else 0)
        self._head(writer, "application/vnd.ipld.raw", f"Content-Length: {length}\r\n")
        writer.write(data)

    async def _respond_car(self, writer: asyncio.StreamWriter, cid: Cid) -> None:
        said = self.behaviour
        order = "unk" if said == "unordered" else "dfs"
        extra = "Content-Encoding: gzip\r\n" if said == "compressed" else ""
        extra += "Content-Length: 10000000\r\n" if said == "cut" else ""
        self._head(
            writer,
            f"application/vnd.ipld.car; version=1; order={order}; dups={'n' if said == 'no_twins' else 'y'}",
            extra,
        )
        walk = list(self._walk(cid))
        if said == "unordered":
            walk = walk[:1] + walk[:0:-1]
        if said == "no_twins":
            walk = list(dict.fromkeys(walk))
        frames = list(car.write([cid], [(one, self.blocks[str(one)]) for one in walk]))
        good = frames[: 1 + self.after]
        if said == "silent":
            writer.write(b"".join(good))
            await writer.drain()
            await asyncio.sleep(3600)
        writer.write(b"".join(good) + b"".join(self._lies(frames[1 + self.after :])))

    def _lies(self, rest: list[bytes]) -> Iterator[bytes]:
        said = self.behaviour
        if said == "ends_early" or (said == "cut" and not rest):
            return
        if said in ("truncated", "cut"):
            yield rest[0][: len(rest[0]) // 2]
            return
        if said == "wrong_bytes":
            rest = [rest[0][:-1] + bytes((rest[0][-1] ^ 1,)), *rest[1:]]
        elif said == "unasked_block":
            rest = [*car.write([], [(Cid.of(b"other"), b"other")])][1:] + rest
        elif said == "too_large":
            rest = [varint(BLOCK_BYTES * 4), *rest]
        elif said == "more_behind":
            rest = rest + [*car.write([], [(Cid.of(b"other"), b"other")])][1:]
        elif said == "html":
            rest = [HTML]
        yield from rest

    def _walk(self, cid: Cid) -> Iterator[Cid]:
        yield cid
        if cid.codec == DAG_PB:
            for link in decode(self.blocks[str(cid)]).links:
                yield from self._walk(link.cid)

    def _head(self, writer: asyncio.StreamWriter, kind: str, extra: str = "") -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\n{extra}\r\n".encode())


@asynccontextmanager
async def gateway(blocks: Blocks, behaviour: str = "honest", after: int = 0) -> AsyncIterator[Hostile]:
    """Run one on a free port."""
    hostile = Hostile(blocks, behaviour, after)
    server = await asyncio.start_server(hostile.answer, "127.0.0.1", 0)
    hostile.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield hostile
    finally:
        server.close()
