"""A data set's files, in a folder, in a zip or by themselves, opened one by one as byte streams.

Belongs here: finding, judging and opening files. Does not belong here: what is in them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from nexus.errors import NexusError, invalid, not_found

Seen = Callable[[str, int, int], None]
"""Told how far a file is: its name, bytes done, bytes in all."""

_CHUNK_BYTES = 1 << 20
_MAX_RATIO = 200
_SMALL_BYTES = 100 << 20
_MAX_MEMBERS = 10_000
_MAX_LINE_BYTES = 64 << 20
_TABLE_SUFFIXES = frozenset({".csv", ".dat", ".data", ".item", ".genre", ".tsv", ".txt", ".parquet"})


class Files(Protocol):
    """Files by their plain name."""

    def names(self) -> frozenset[str]:
        """What is there."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A stream of one file's bytes."""
        ...

    def size(self, name: str) -> int:
        """How many bytes that stream has."""
        ...


class _Folder:
    """A folder, or the one folder inside it that holds everything (a zip unpacked twice)."""

    def __init__(self, path: Path) -> None:
        inside = [item for item in path.iterdir() if not item.name.startswith((".", "__MACOSX"))]
        only = inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else path
        self._path = only

    def names(self) -> frozenset[str]:
        return frozenset(item.name for item in self._path.iterdir() if item.is_file())

    def open(self, name: str) -> IO[bytes]:
        path = self._path / name
        if path.is_symlink() and not path.resolve().is_relative_to(self._path.resolve()):
            raise invalid(
                "the file is refused: it is a link that leads out of the folder",
                field=name,
                value=path.resolve(),
                remedy="put the file itself into the folder",
            )
        return path.open("rb")

    def size(self, name: str) -> int:
        return (self._path / name).stat().st_size


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> None:
        self._archive, self._members = archive, members

    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._members[name])

    def size(self, name: str) -> int:
        return self._members[name].file_size


class _One:
    """A file by itself; a ``.gz`` is unpacked while it is read, and has the name without it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_packed = path.suffix == ".gz"
        self._name = path.stem if self._is_packed else path.name

    def names(self) -> frozenset[str]:
        return frozenset({self._name})

    def open(self, name: str) -> IO[bytes]:
        stream = self._path.open("rb")
        return io.BufferedReader(_Unpacked(stream, self.size(name))) if self._is_packed else stream

    def size(self, name: str) -> int:  # noqa: ARG002 there is one
        return self._path.stat().st_size


class _Unpacked(io.RawIOBase):
    """The content of a gzip stream; refuses one that grows without bound. Tells its place in the packed bytes."""

    def __init__(self, packed: IO[bytes], size: int) -> None:
        self._packed, self._size = packed, size
        self._inner = gzip.GzipFile(fileobj=packed)
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got = self._inner.read(len(buffer))
        self._done += len(got)
        if self._done > max(_SMALL_BYTES, _MAX_RATIO * self._size):
            raise invalid(
                f"the file is refused: it grows to over {_MAX_RATIO} times its size",
                field="path",
                value=getattr(self._packed, "name", ""),
                remedy="unpack it by hand if you trust it",
            )
        buffer[: len(got)] = got
        return len(got)

    def tell(self) -> int:
        return min(self._packed.tell(), self._size)

    def close(self) -> None:
        self._packed.close()
        super().close()


@contextmanager
def opened(path: Path, *, is_alone: bool = False) -> Iterator[Files]:
    """The files of a folder or zip; errors of reading become one clear error.

    Args:
        path: The folder or zip.
        is_alone: Whether another file stands for itself.

    Raises:
        NexusError: nothing there, not a zip, half a zip, or a zip with an unsafe member.
    """
    try:
        if not path.exists():
            raise not_found(
                "there is no such folder or file", field="path", value=path, remedy="name a folder or a zip"
            )
        if path.is_dir():
            yield _Folder(path)
        elif is_alone and not zipfile.is_zipfile(path) and path.suffix != ".zip":
            yield _One(path)
        else:
            with zipfile.ZipFile(path) as archive:
                yield _Zip(archive, _members(path, archive))
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise invalid(
            f"the file is not a whole {'gzip' if path.suffix == '.gz' else 'zip'} ({error})",
            field="path",
            value=path,
            remedy="download it again, or name a folder or zip with the data set's files",
        ) from error
    except OSError as error:
        raise invalid(
            f"the file cannot be read ({error.strerror or error})",
            field="path",
            value=error.filename or path,
            remedy="check its permissions",
        ) from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > _MAX_MEMBERS:
        raise invalid(
            f"the zip is refused: it has over {_MAX_MEMBERS} members",
            field=path.name,
            value=len(archive.infolist()),
            remedy="make a plain zip of the data set",
        )
    for info in archive.infolist():
        _refuse_unsafe(path, info)
        inside = PurePosixPath(info.filename)
        if info.is_dir() or "__MACOSX" in inside.parts:
            continue
        if inside.name in found and inside.suffix in _TABLE_SUFFIXES:
            raise invalid(
                "the zip has two files of this name",
                field=f"{path.name}:{inside.name}",
                value=f"{found[inside.name].filename}, {info.filename}",
                remedy="keep one data set per zip",
            )
        found[inside.name] = info
    return found


def _refuse_unsafe(path: Path, info: zipfile.ZipInfo) -> None:
    inside = PurePosixPath(info.filename.replace("\\", "/"))
    why = None
    if inside.is_absolute() or ".." in inside.parts or ":" in info.filename:
        why = "leads out of the zip"
    elif stat.S_ISLNK(info.external_attr >> 16):
        why = "is a link"
    elif info.flag_bits & 0x1:
        why = "is encrypted"
    elif info.file_size > _SMALL_BYTES and info.file_size > _MAX_RATIO * max(info.compress_size, 1):
        why = f"grows to {info.file_size} bytes from {info.compress_size}"
    if why:
        raise invalid(
            f"the zip is refused: a member {why}",
            field=path.name,
            value=info.filename,
            remedy="make a plain zip of the data set",
        )


def fingerprint(files: Files, names: list[str], seen: Seen | None = None) -> str:
    """SHA-256 over names and contents: the same for a folder and a zip of it. Reads every byte, so a half zip shows.

    Raises:
        NexusError: a file has no line break for so long that it is no table of lines.
    """
    total = hashlib.sha256()
    for name in sorted(names):
        total.update(f"{name}\0{hash_of(files, name, seen)}\n".encode())
    return total.hexdigest()


def hash_of(files: Files, name: str, seen: Seen | None = None) -> str:
    """SHA-256 of one file's content.

    Raises:
        NexusError: it has no line break for so long that it is no table of lines.
    """
    one, size, done, line_bytes, number = hashlib.sha256(), files.size(name), 0, 0, 1
    with files.open(name) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            one.update(chunk)
            done = stream.tell()
            last = chunk.rfind(b"\n")
            line_bytes = len(chunk) - 1 - last if last >= 0 else line_bytes + len(chunk)
            number += chunk.count(b"\n")
            if line_bytes > _MAX_LINE_BYTES and not name.endswith(".parquet"):
                raise endless_line(name, number)
            if seen is not None:
                seen(name, done, size)
    return one.hexdigest()


def endless_line(name: str, number: int) -> NexusError:
    """The refusal of a file that has a line without an end."""
    return invalid(
        f"the file is refused: line {number} has no end within {_MAX_LINE_BYTES >> 20} MiB, so it is no table of lines",
        field=f"{name}:{number}",
        value=name,
        remedy="export it again with one record per line",
    )


def need(files: Files, path: Path, names: tuple[str, ...], more: str = "") -> None:
    """Refuse a data set that lacks a file.

    Raises:
        NexusError: names what was found and what is needed.
    """
    missing = [name for name in names if name not in files.names()]
    if missing:
        found = ", ".join(sorted(files.names())[:12]) or "nothing"
        raise NexusError(
            f"{', '.join(missing)} is missing; found: {found}",
            field="path",
            value=path,
            remedy=f"name a folder or zip that has {' and '.join(names)}{more}",
            found=sorted(files.names())[:50],
            needed=list(names),
        )
