"""Retrieval that trusts nobody: our node first, then gateways; every block hashed; large files streamed to disk whole or not at all.

Belongs here: what callers use. Does not belong here: sources, rotation, walking (their own files).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

import httpx

from contracts.client.ipfs.identifiers import DAG_PB, Cid, parse
from contracts.client.ipfs.node import Ipfs
from contracts.client.ipfs.reading import Reader
from contracts.client.ipfs.refusals import Figures
from contracts.client.ipfs.rotation import Rotation, Shown
from contracts.client.ipfs.sources import Gateway, NodeSource, Source
from contracts.client.ipfs.walking import Limits, file_of, file_pieces
from nexus.errors import Category, NexusError, invalid, unavailable
from nexus.settings import Settings

MEMORY_BYTES: Final = 64 * 1024 * 1024
FILE_BYTES: Final = 1 << 40
_SPARE_BYTES: Final = 64 * 1024 * 1024


class Retrieval:
    """Content from whoever has it.

    Args:
        node: Our node, asked first; None where there is none.
        gateways: Addresses, asked in this order.
        http: A client to use; by default one of our own.
        figures: Where lies and failures are counted.
        timeout_s: Patience with one block of a gateway.
        node_timeout_s: Patience with one block of our node, which may have to find it at its peers.
    """

    def __init__(
        self,
        node: Ipfs | None,
        gateways: Sequence[str] = (),
        *,
        http: httpx.AsyncClient | None = None,
        figures: Figures | None = None,
        timeout_s: float = 15.0,
        node_timeout_s: float = 5.0,
    ) -> None:
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(trust_env=False, follow_redirects=False)
        sources: list[Source] = [NodeSource(node, timeout_s=node_timeout_s)] if node is not None else []
        sources += [Gateway(url, self._http, timeout_s=timeout_s) for url in dict.fromkeys(gateways)]
        if not sources:
            raise unavailable(
                "there is neither an IPFS node nor a gateway to ask",
                remedy="bin/nexus up --with web3 starts a node, or name gateways (web3.gateways)",
            )
        self.rotation = Rotation(sources, figures or Figures())

    @classmethod
    def of(cls, settings: Settings, node: Ipfs | None, *, figures: Figures | None = None) -> Self:
        """With the gateways of this platform's settings."""
        return cls(node, settings.web3.gateways, figures=figures)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        if self._is_own:
            await self._http.aclose()

    def standing(self) -> tuple[Shown, ...]:
        """How each source stands."""
        return self.rotation.show()

    async def stream(self, cid: str, *, most_bytes: int = FILE_BYTES) -> AsyncGenerator[bytes, None]:
        """A file, block by block, each verified before it is given.

        Raises:
            NexusError: category ``unavailable`` where nobody gives a block; ``invalid`` for what is no file or too large.
        """
        async with Reader(self.rotation) as reader:
            async for piece in file_pieces(parse(cid), reader.block, Limits(most_bytes)):
                yield piece

    async def fetch(self, cid: str, *, most_bytes: int = MEMORY_BYTES) -> bytes:
        """A small file, whole.

        Raises:
            NexusError: as :meth:`stream`.
        """
        async with aclosing(self.stream(cid, most_bytes=most_bytes)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def block(self, cid: str) -> bytes:
        """One block, verified.

        Raises:
            NexusError: category ``unavailable`` where nobody gives it.
        """
        wanted = parse(cid)
        async with Reader(self.rotation, has_streams=False) as reader:
            return await reader.block(wanted, 0)

    async def size(self, cid: str) -> int:
        """The bytes of a file, from its first block.

        Raises:
            NexusError: as :meth:`stream`.
        """
        wanted, block = parse(cid), await self.block(cid)
        return _size(wanted, block)

    async def fetch_to(
        self,
        cid: str,
        path: Path,
        tell: Callable[[int, int], None] | None = None,
        *,
        most_bytes: int = FILE_BYTES,
    ) -> int:
        """A file of any size onto disk; nothing has its name before it is whole.

        Args:
            cid: Which.
            path: Where to; its folder must be there.
            tell: Called with the bytes so far and the bytes of the whole.
            most_bytes: The largest that is taken.

        Returns:
            Its bytes.

        Raises:
            NexusError: as :meth:`stream`; category ``conflict`` where there is no room or something has the name.
        """
        total = await self.size(cid)
        _check_target(path, total)
        part = path.with_name(f".{uuid4().hex}.part")
        done = 0
        try:
            with part.open("xb") as out:
                async with aclosing(self.stream(cid, most_bytes=most_bytes)) as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(out.write, piece)
                        done += len(piece)
                        if tell is not None:
                            tell(done, total)
            part.replace(path)
        except OSError as error:
            raise _not_written(path, error.strerror or str(error)) from error
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        return done


def _size(cid: Cid, block: bytes) -> int:
    if cid.codec != DAG_PB:
        return len(block)
    node = file_of(cid, block)
    return len(node.unixfs.data) + sum(node.unixfs.block_sizes)


def _check_target(path: Path, size: int) -> None:
    if not path.parent.is_dir():
        raise invalid("there is no such folder", field="path", value=path.parent, remedy="make it first")
    if path.is_dir():
        raise invalid("a folder has this name", field="path", value=path, remedy="give the name of the file to write")
    free = shutil.disk_usage(path.parent).free
    if free < size + _SPARE_BYTES:
        raise _not_written(path, f"{size} bytes do not fit into {free} that are free")


def _not_written(path: Path, reason: str) -> NexusError:
    return NexusError(
        f"the file cannot be written: {reason}",
        category=Category.CONFLICT,
        field="path",
        value=path,
        remedy="make room, or give another place",
    )
