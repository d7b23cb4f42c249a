"""The layouts in which MovieLens data sets come, told apart by their files' names.

========================  ==========================================================================
ml-latest, 20M, 25M, 32M  ``ratings.csv``, ``movies.csv``, perhaps ``links.csv``; names in the first line
1M, 10M                   ``ratings.dat``, ``movies.dat``; fields between ``::``; 1M in Latin-1
100K                      ``u.data`` between tabs, ``u.item`` between bars with one column per genre, Latin-1
========================  ==========================================================================

Belongs here: file names, dialects, columns. Does not belong here: reading (movielens), judging values (layer core).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from media.sources import archive
from media.sources.lines import CSV, Dialect
from nexus.errors import NexusError

RATING_COLUMNS: Final = ("userId", "movieId", "rating", "timestamp")
GENRES_100K: Final = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_SNIFF_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Which files hold what, and how they are written.

    Attributes:
        name: For people.
        ratings: File of the ratings.
        titles: File of the titles.
        links: File of other ids of the titles, where the layout has one.
        ratings_dialect: How the ratings are written.
        titles_dialect: How the titles are written.
        title_columns: Columns of the titles that are read.
        genre_flags: Column and genre, where each genre has a column with 0 or 1.
        issuer: Whose ids these are.
    """

    name: str
    ratings: str
    titles: str
    links: str | None
    ratings_dialect: Dialect
    titles_dialect: Dialect
    title_columns: tuple[str, ...]
    genre_flags: tuple[tuple[str, str], ...] = ()
    issuer: str = "movielens"


_CSV = Layout("csv", "ratings.csv", "movies.csv", "links.csv", CSV, CSV, ("movieId", "title", "genres"))
_MOVIES = ("movieId", "title", "genres")
_DAT = Layout(
    "dat",
    "ratings.dat",
    "movies.dat",
    None,
    Dialect("::", is_quoted=False, columns=RATING_COLUMNS),
    Dialect("::", is_quoted=False, columns=_MOVIES),
    _MOVIES,
)
_FLAGS = tuple(f"genre {number}" for number in range(len(GENRES_100K)))
_ITEM = ("movieId", "title", "released", "released on video", "url", *_FLAGS)
_100K = Layout(
    "100K",
    "u.data",
    "u.item",
    None,
    Dialect("\t", is_quoted=False, columns=RATING_COLUMNS),
    Dialect("|", is_quoted=False, columns=_ITEM),
    ("movieId", "title", *_FLAGS),
    genre_flags=tuple(zip(_FLAGS, GENRES_100K, strict=True)),
    # This data set numbers its titles by itself; all others share one numbering.
    issuer="movielens-100k",
)
LAYOUTS: Final = (_CSV, _DAT, _100K)


def detect(files: archive.Files, path: Path) -> Layout:
    """The layout of a data set, with the encoding of its titles.

    Raises:
        NexusError: no layout, or two at once.
    """
    names = files.names()
    there = [layout for layout in LAYOUTS if {layout.ratings, layout.titles} <= names]
    if len(there) > 1:
        raise NexusError(
            f"this holds two data sets at once: {there[0].ratings} and {there[1].ratings}",
            field="path",
            value=path,
            remedy="keep one data set per folder or zip",
        )
    if not there:
        begun = [layout for layout in LAYOUTS if {layout.ratings, layout.titles} & names]
        layout = begun[0] if begun else _CSV
        archive.need(files, path, (layout.ratings, layout.titles), _hint(path) if not begun else "")
    layout = there[0]
    if layout is _CSV or not _is_latin(files, layout.titles):
        return layout
    return replace(layout, titles_dialect=replace(layout.titles_dialect, encoding="latin-1"))


def _hint(path: Path) -> str:
    return (
        f" (or {_DAT.ratings} and {_DAT.titles}, or {_100K.ratings} and {_100K.titles}); or bin/nexus load table {path}"
    )


def _is_latin(files: archive.Files, name: str) -> bool:
    """Whether a file of titles is not UTF-8; it is small, and a part of it tells."""
    with files.open(name) as stream:
        head = stream.read(_SNIFF_BYTES)
    try:
        head[: head.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
