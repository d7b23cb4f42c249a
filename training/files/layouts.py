"""Where ratings and titles lie in a MovieLens folder or zip, and how to get at the bytes of any file.

Belongs here: finding files in a folder or zip, unpacking. Does not belong here: what the lines mean (training.files.lines),
loading a data set into the lake (``bin/nexus load``: the room media, which training does not import).
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nexus.errors import NexusError, invalid, not_found

RATINGS = ("ratings.csv", "ratings.dat", "u.data")
TITLES = ("movies.csv", "movies.dat", "u.item")
PLAIN = (".txt", ".csv", ".tsv", ".dat", ".data", ".inter")
BLOCK_BYTES = 1 << 24
MAX_BYTES = 32 << 30
"""A file that unpacks to more is refused."""


@dataclass(frozen=True, slots=True)
class Found:
    """The bytes of what is read.

    Attributes:
        ratings_name: The file's name, for people.
        ratings: Its content.
        titles_name: Empty without one.
        titles: Its content.
    """

    ratings_name: str
    ratings: bytes
    titles_name: str = ""
    titles: bytes = b""


def find(path: Path) -> Found:
    """The ratings, and the titles where there are any, of a folder, a zip or a file by itself.

    Raises:
        NexusError: nothing there, no ratings in it, or it cannot be unpacked.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        if zipfile.is_zipfile(path):
            return _of_zip(path)
        return Found(path.name, _content(path))
    except FileNotFoundError:
        raise not_found("nothing is there", field="--data", value=path, remedy="name a file, folder or zip") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise invalid(
            f"the file cannot be unpacked ({error})", field="--data", value=path, remedy="fetch it again: it is damaged"
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a zip with a password
        raise invalid(
            f"the file cannot be read ({error})", field="--data", value=path, remedy="name one that you may read"
        ) from error


def _of_folder(path: Path) -> Found:
    files = {item.name: item for item in sorted(path.rglob("*")) if item.is_file() and _depth(item, path) <= 2}
    ratings, titles = _first(files, RATINGS), _first(files, TITLES)
    if ratings is None:
        raise _no_ratings(path, [name for name in files if _is_plain(name)])
    if titles is None:
        return Found(ratings, _content(files[ratings]))
    return Found(ratings, _content(files[ratings]), titles, _content(files[titles]))


def _of_zip(path: Path) -> Found:
    with zipfile.ZipFile(path) as archive:
        members = {
            PurePosixPath(info.filename).name: info
            for info in archive.infolist()
            if not info.is_dir() and "__MACOSX" not in info.filename
        }
        ratings, titles = _first(members, RATINGS), _first(members, TITLES)
        if ratings is None:
            plain = [name for name in members if _is_plain(name)]
            if len(plain) != 1:
                raise _no_ratings(path, plain)
            ratings = plain[0]
        for name in (ratings, titles):
            if name is not None and members[name].file_size > MAX_BYTES:
                raise _too_big(path / name)
        return Found(
            ratings,
            _unpacked(ratings, archive.read(members[ratings])),
            titles or "",
            _unpacked(titles, archive.read(members[titles])) if titles else b"",
        )


def _first(
    files: dict[str, object] | dict[str, Path] | dict[str, zipfile.ZipInfo], wanted: tuple[str, ...]
) -> str | None:
    return next((name for base in wanted for name in (base, f"{base}.gz") if name in files), None)


def _depth(item: Path, folder: Path) -> int:
    return len(item.relative_to(folder).parts)


def _is_plain(name: str) -> bool:
    return name.removesuffix(".gz").endswith(PLAIN) and not name.lower().startswith("readme")


def _content(path: Path) -> bytes:
    return _unpacked(path.name, path.read_bytes())


def _unpacked(name: str, content: bytes) -> bytes:
    if not name.endswith(".gz") and not content.startswith(b"\x1f\x8b"):
        return content
    whole = bytearray()
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        while block := stream.read(BLOCK_BYTES):
            whole += block
            if len(whole) > MAX_BYTES:
                raise _too_big(Path(name))
    return bytes(whole)


def _no_ratings(path: Path, plain: list[str]) -> NexusError:
    also = f", or name one file: {', '.join(sorted(plain)[:5])}" if plain else ""
    return invalid(
        "there are no ratings in it",
        field="--data",
        value=path,
        remedy=f"name a folder or zip with one of {', '.join(RATINGS)}{also}",
    )


def _too_big(path: Path) -> NexusError:
    return invalid(
        f"the file is refused: it unpacks to over {MAX_BYTES >> 30} GiB",
        field="--data",
        value=path,
        remedy="unpack it by hand if you trust it, and name a part of it",
    )
