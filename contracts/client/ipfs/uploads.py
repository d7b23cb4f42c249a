"""Bodies of uploads: one multipart file streamed in bounded memory, hashed as it passes, its source watched for changes.

Belongs here: from a file, bytes or a stream to what is sent. Does not belong here: sending it (node).
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable
from io import FileIO
from pathlib import Path
from typing import Final
from uuid import uuid4

from contracts.client.ipfs.building import CHUNK_BYTES, Rechunker, Tree
from contracts.client.ipfs.dagpb import Link
from nexus.errors import Category, NexusError, invalid, not_found

Source = Path | bytes | AsyncIterable[bytes]
Tell = Callable[[int], None]


class Upload:
    """One file on its way: its bytes are hashed as they are sent.

    Args:
        source: A file, bytes, or a stream.
        tell: Called with the bytes sent so far.
    """

    def __init__(self, source: Source, tell: Tell | None = None) -> None:
        self._source = source
        self._tell = tell
        self._boundary: Final = uuid4().hex
        self._tree = Tree()
        self._chunks = Rechunker(self._tree)
        self.size = 0

    @property
    def kind(self) -> str:
        """The content type of the body."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def body(self) -> AsyncIterator[bytes]:
        """What is sent. It ends without its last line where the source changed, so that no node takes it for whole.

        Raises:
            NexusError: category ``conflict`` when the file changed while it was read.
        """
        yield (
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        async for piece in pieces(self._source):
            await asyncio.to_thread(self._chunks.feed, piece)
            self.size += len(piece)
            if self._tell is not None:
                self._tell(self.size)
            yield piece
        yield f"\r\n--{self._boundary}--\r\n".encode()

    def root(self) -> Link:
        """The identifier of all that was sent."""
        return self._chunks.root()


async def pieces(source: Source) -> AsyncIterator[bytes]:
    """The bytes of a source in pieces of at most 1 MiB (those of a stream as they come).

    Raises:
        NexusError: the file is missing or no file, or changed while it was read.
    """
    if isinstance(source, Path):
        async for piece in _watched(source):
            yield piece
    elif isinstance(source, bytes):
        for at in range(0, len(source), CHUNK_BYTES):
            yield source[at : at + CHUNK_BYTES]
    else:
        async for piece in source:
            if piece:
                yield piece


async def _watched(path: Path) -> AsyncIterator[bytes]:
    with _opened(path) as source:
        first = _look(os.fstat(source.fileno()))
        left = first[0]
        while left:
            piece = await asyncio.to_thread(source.read, min(CHUNK_BYTES, left))
            if not piece or _look(os.fstat(source.fileno())) != first:
                raise _changed(path)
            left -= len(piece)
            yield piece
        if source.read(1) or _now(path) != first:
            raise _changed(path)


def _opened(path: Path) -> FileIO:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise invalid("not a file", field="path", value=path, remedy="give a file, or a folder of files")
        return FileIO(path)
    except FileNotFoundError as error:
        raise not_found("no such file", field="path", value=path, remedy="give a file that is there") from error
    except OSError as error:
        raise invalid(
            f"the file cannot be read ({error.strerror})", field="path", value=path, remedy="make it readable for us"
        ) from error


def _now(path: Path) -> tuple[int, ...] | None:
    try:
        return _look(path.stat())
    except OSError:
        return None


def _look(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def _changed(path: Path) -> NexusError:
    return NexusError(
        "the file changed while it was added, so nothing was added",
        category=Category.CONFLICT,
        field="path",
        value=path,
        remedy="wait until whatever writes it is done, or add a copy",
    )
