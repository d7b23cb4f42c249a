"""Years and genres from a MovieLens file of titles, in any of its layouts.

Belongs here: ``movies.csv``, ``movies.dat`` and ``u.item``. Does not belong here: ratings (training.files.lines).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import polars as pl

NO_GENRES = frozenset({"", "(no genres listed)", "unknown"})
U_ITEM_FIRST_FLAG = 5
U_ITEM_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
SCHEMA = pl.Schema([("content_id", pl.String()), ("year", pl.Int64()), ("genres", pl.List(pl.String))])
_YEAR = re.compile(r"\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*$")
Row = tuple[str, str, list[str]]


def read(content: bytes, name: str) -> pl.DataFrame:
    """``content_id``, ``year`` (null where the title names none) and ``genres``; lines without an id are left out."""
    rows = _rows(content, name)
    found = [
        (ref.strip(), _year(title), [g for g in genres if g not in NO_GENRES])
        for ref, title, genres in rows
        if ref.strip()
    ]
    return pl.DataFrame(found, schema=SCHEMA, orient="row").unique("content_id", keep="last", maintain_order=True)


def names(content: bytes, name: str) -> dict[str, str]:
    """What each title is called, by ``content_id``; as in the file, the year included."""
    return {ref.strip(): title for ref, title, _ in _rows(content, name) if ref.strip()}


def none() -> pl.DataFrame:
    """No title is known."""
    return pl.DataFrame(schema=SCHEMA)


def _rows(content: bytes, name: str) -> Iterator[Row]:
    form = name.removesuffix(".gz").rpartition(".")[2]
    return {"csv": _csv, "dat": _dat, "item": _item}[form](_text(content).splitlines())


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _csv(lines: list[str]) -> Iterator[Row]:
    for row in csv.reader(lines):
        if len(row) >= 2 and row[0].lower() != "movieid":
            yield row[0], row[1], row[2].split("|") if len(row) > 2 else []


def _dat(lines: list[str]) -> Iterator[Row]:
    for line in lines:
        fields = line.split("::")
        if len(fields) >= 2:
            yield fields[0], fields[1], fields[2].split("|") if len(fields) > 2 else []


def _item(lines: list[str]) -> Iterator[Row]:
    for line in lines:
        fields = line.split("|")
        if len(fields) >= 2:
            flags = zip(U_ITEM_GENRES, fields[U_ITEM_FIRST_FLAG:], strict=False)
            yield fields[0], fields[1], [genre for genre, flag in flags if flag.strip() == "1"]


def _year(title: str) -> int | None:
    found = _YEAR.search(title)
    return int(found.group(1)) if found else None
