"""Blocks of one graph, whoever gives them: the source that does well, and the next one where it fails or lies.

Belongs here: asking, and that a stream holds exactly the blocks that are next. Does not belong here: what the blocks
mean (walking), who is in rotation (rotation).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from contracts.client.ipfs.identifiers import DAG_PB, IDENTITY, Cid
from contracts.client.ipfs.refusals import Refused, no_answer
from contracts.client.ipfs.rotation import Rotation
from contracts.client.ipfs.sources import Car, Source
from nexus.errors import NexusError, unavailable

_MOST_SEEN: Final = 1_000_000
_NO_CARS: Final = frozenset({400, 405, 406, 410, 415, 501})


class _NoStream(Exception):  # noqa: N818 no error: another way is taken
    """This source gives no streams that can be walked as they come."""


class _Stream:
    """An open CAR of all beneath one block, which must give what a depth-first walk asks for, and nothing else."""

    def __init__(self, source: Source, car: Car, depth: int) -> None:
        self.source = source
        self.depth = depth
        self._car = car
        self._next: tuple[Cid, bytes] | None = None
        self._seen: set[bytes] = set()

    async def take(self, cid: Cid) -> bytes | None:
        """The block, or None where it was sent before in this stream and is not sent again (``dups=n``).

        Raises:
            Refused: the stream ended, or something else stands here.
            _NoStream: something else stands here, and nothing else was promised.
        """
        if self._next is None:
            self._next = await self._car.next()
        if self._next is not None and self._next[0].names_the_same(cid):
            data, self._next = self._next[1], None
            if len(self._seen) < _MOST_SEEN:
                self._seen.add(cid.digest)
            return data
        if cid.digest in self._seen:
            return None
        if self._next is not None and not self._car.is_ordered:
            raise _NoStream
        if self._next is None and self._car.may_stop:
            raise no_answer(self.source.name, f"its stream ends where {cid} should stand")
        if self._next is None:
            raise Refused(self.source.name, "truncated", f"the stream ends where {cid} should stand")
        raise Refused(self.source.name, "unasked_block", f"{self._next[0]} stands where {cid} should")

    async def finish(self) -> None:
        """The walk has all of it, so nothing may follow.

        Raises:
            Refused: something does.
        """
        if self._next is not None or await self._car.next() is not None:
            raise Refused(self.source.name, "unasked_block", "blocks behind the last one")


class Reader:
    """Gives the blocks of one walk.

    Args:
        rotation: Whom to ask.
        has_streams: Whether all beneath a block is asked for with it; not where only some of it is wanted.
    """

    def __init__(self, rotation: Rotation, *, has_streams: bool = True) -> None:
        self._has_streams = has_streams
        self._rotation = rotation
        self._last: Source | None = None
        self._stream: _Stream | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self._finish()
        await self._close()

    async def block(self, cid: Cid, depth: int) -> bytes:
        """A block of the walk, its hash checked.

        Args:
            cid: Which; a walk asks depth first.
            depth: How far beneath the root.

        Raises:
            NexusError: category ``unavailable`` where nobody gives it, with what each did instead.
        """
        if cid.function == IDENTITY:
            return cid.digest
        if self._stream is not None and depth <= self._stream.depth:
            await self._finish()
        reasons: dict[str, str] = {}
        while (source := self._choose(reasons)) is not None:
            try:
                data = await self._from(source, cid, depth)
            except Refused as refused:
                reasons[source.name] = refused.message
                await self._close()
                self._rotation.lied(source, refused)
            except NexusError as error:
                reasons[source.name] = error.message
                await self._close()
                self._rotation.failed(source, error.message)
            else:
                self._last = source
                self._rotation.did_well(source)
                return data
        raise unavailable(
            f"nobody gives the block {cid}" + "".join(f"; {reason}" for reason in reasons.values()),
            remedy="start the node that has it, name more gateways (web3.gateways), or try later",
            cid=str(cid),
            sources=reasons,
        )

    def _choose(self, reasons: dict[str, str]) -> Source | None:
        order = [source for source in self._rotation.order() if source.name not in reasons]
        if self._last is not None and self._last in order:
            return self._last
        return order[0] if order else None

    async def _from(self, source: Source, cid: Cid, depth: int) -> bytes:
        try:
            data = await self._streamed(source, cid, depth)
        except _NoStream:
            source.has_cars = False  # its blocks are asked for one by one from here on
            await self._close()
            data = None
        return await source.block(cid) if data is None else data

    async def _streamed(self, source: Source, cid: Cid, depth: int) -> bytes | None:
        if self._stream is None and self._has_streams and source.has_cars and cid.codec == DAG_PB:
            try:
                car = await self._open.enter_async_context(source.car(cid))
            except NexusError as error:
                if error.evidence.get("status_code") in _NO_CARS:
                    raise _NoStream from error
                raise
            self._stream = _Stream(source, car, depth)
        if self._stream is not None and self._stream.source is source:
            return await self._stream.take(cid)
        return None

    async def _finish(self) -> None:
        stream = self._stream
        try:
            if stream is not None:
                await stream.finish()
        except Refused as refused:
            self._rotation.lied(stream.source, refused) if stream else None
        except NexusError:
            pass  # all of it was had; how the connection ended does not matter
        finally:
            await self._close()

    async def _close(self) -> None:
        self._stream = None
        await self._open.aclose()
