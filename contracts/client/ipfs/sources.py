"""Where blocks come from: our node, and trustless gateways as raw blocks or CAR streams. Every block is hashed here.

Belongs here: one source and what its answers mean. Does not belong here: who is asked when (rotation, reading).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from contracts.client.ipfs.car import CarReader, TooLarge, WrongBlock
from contracts.client.ipfs.identifiers import BLOCK_BYTES, Cid, Malformed
from contracts.client.ipfs.node import Ipfs
from contracts.client.ipfs.refusals import Reason, Refused, no_answer
from nexus.errors import invalid

RAW_TYPE: Final = "application/vnd.ipld.raw"
CAR_TYPE: Final = "application/vnd.ipld.car"


class Car(Protocol):
    """An open stream of verified blocks.

    ``is_ordered`` where it promises to be depth first; ``may_stop`` where an early end is a failure and no lie.
    """

    is_ordered: bool
    may_stop: bool

    async def next(self) -> tuple[Cid, bytes] | None:
        """The next block; None at the end."""


class Source(Protocol):
    """Somebody who may have blocks."""

    name: str
    has_cars: bool

    async def block(self, cid: Cid) -> bytes:
        """One verified block."""

    def car(self, cid: Cid) -> AbstractAsyncContextManager[Car]:
        """All beneath an identifier, depth first, as a stream of verified blocks."""


class NodeSource:
    """Our own node. What it lacks it may look for; a stream of it that stops is no lie, as its disk is ours.

    Args:
        node: The node.
        timeout_s: Patience with one block, which it may have to find at its peers.
        is_local: Take only what it has already.
    """

    def __init__(self, node: Ipfs, *, timeout_s: float = 5.0, is_local: bool = False) -> None:
        self.name = "node"
        self.has_cars = True
        self._node = node
        self._timeout_s = timeout_s
        self._is_local = is_local

    async def block(self, cid: Cid) -> bytes:
        """One verified block."""
        return await self._node.block(cid, is_local=self._is_local, timeout_s=self._timeout_s)

    @asynccontextmanager
    async def car(self, cid: Cid) -> AsyncIterator[Car]:
        """All beneath an identifier, depth first.

        Raises:
            NexusError: it has no such block, or does not answer.
        """
        await self.block(cid)  # an export of what nobody has would wait
        async with aclosing(self._node.dag_export(str(cid))) as pieces:
            yield _CheckedCar(self.name, CarReader(pieces), self._timeout_s, is_ordered=True, may_stop=True)


class Gateway:
    """A trustless gateway (``?format=raw|car``); nothing that it says is believed, everything is hashed.

    Args:
        url: As in ``https://gateway.example``.
        http: The client to use.
        timeout_s: Patience with one block.
        is_cached: Take only what it has already (``Cache-Control: only-if-cached``).
        has_cars: Whether it is asked for streams, or for one block after the other.
    """

    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient,
        *,
        timeout_s: float = 15.0,
        is_cached: bool = False,
        has_cars: bool = True,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise invalid("not the address of a gateway", field="web3.gateways", value=url, remedy="give https://HOST")
        self.name = parts.netloc
        self.has_cars = has_cars
        self._url = url.rstrip("/")
        self._http = http
        self._timeout_s = timeout_s
        self._is_cached = is_cached

    async def block(self, cid: Cid) -> bytes:
        """One verified block.

        Raises:
            Refused: other bytes than those asked for.
            NexusError: category ``unavailable``.
        """
        async with self._patience(), self._asked(cid, "raw", RAW_TYPE) as answer:
            data = bytearray()
            async for piece in answer.aiter_raw():
                data += piece
                if len(data) > BLOCK_BYTES:
                    raise Refused(self.name, "too_large", "a block of more than 2 MiB")
        if not cid.belongs_to(data):
            reason: Reason = "html" if _is_html(answer) else "wrong_bytes"
            raise Refused(self.name, reason, f"{len(data)} bytes that do not hash to {cid}")
        return bytes(data)

    @asynccontextmanager
    async def car(self, cid: Cid) -> AsyncIterator[Car]:
        """All beneath an identifier, depth first.

        Raises:
            Refused: something else than a CAR.
            NexusError: category ``unavailable``.
        """
        async with self._asked(cid, "car", f"{CAR_TYPE}; version=1; order=dfs; dups=y") as answer:
            if not _type(answer).startswith(CAR_TYPE):
                raise Refused(
                    self.name, "html" if _is_html(answer) else "not_a_car", f"content of type {_type(answer)!r}"
                )
            is_ordered = "order=dfs" in _type(answer)
            yield _CheckedCar(self.name, CarReader(answer.aiter_raw()), self._timeout_s, is_ordered=is_ordered)

    @asynccontextmanager
    async def _asked(self, cid: Cid, form: str, kind: str) -> AsyncIterator[httpx.Response]:
        headers = {"accept": kind, "accept-encoding": "identity"}
        params = {"format": form}
        if form == "car":
            params |= {"dag-scope": "all", "car-version": "1", "car-order": "dfs", "car-dups": "y"}
        if self._is_cached:
            headers["cache-control"] = "only-if-cached"
        try:
            async with self._http.stream(
                "GET", f"{self._url}/ipfs/{cid}", params=params, headers=headers, timeout=self._timeout_s
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise no_answer(self.name, f"HTTP {answer.status_code}", status_code=answer.status_code)
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise no_answer(self.name, "an answer in an encoding that was not asked for")
                yield answer
        except httpx.HTTPError as error:
            raise no_answer(self.name, type(error).__name__) from error

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError as error:
            raise no_answer(self.name, f"no whole block within {self._timeout_s:g} s") from error


class _CheckedCar:
    def __init__(
        self, name: str, reader: CarReader, timeout_s: float, *, is_ordered: bool, may_stop: bool = False
    ) -> None:
        self._name = name
        self._reader = reader
        self.is_ordered = is_ordered
        self.may_stop = may_stop
        self._timeout_s = timeout_s

    async def next(self) -> tuple[Cid, bytes] | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._reader.next()
        except WrongBlock as error:
            raise Refused(self._name, "wrong_bytes", str(error)) from error
        except TooLarge as error:
            raise Refused(self._name, "too_large", str(error)) from error
        except Malformed as error:
            if self.may_stop:
                raise no_answer(self._name, str(error)) from error
            raise Refused(self._name, "truncated", str(error)) from error
        except TimeoutError as error:
            raise no_answer(self._name, f"no whole block within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise no_answer(self._name, type(error).__name__) from error


def _type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", "")).lower()


def _is_html(answer: httpx.Response) -> bool:
    return "html" in _type(answer)
