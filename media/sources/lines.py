"""Lines of a comma-separated file, read in bounded memory; a broken line is data, not an exception.

Belongs here: bytes to fields. Does not belong here: what the fields mean.
One line is one record: a quoted field may hold commas, never a line break.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from nexus.errors import NexusError, invalid

MAX_LINE_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    r"""One line: its fields by the header's names, or the problem that it has none.

    Attributes:
        number: Counted from 1, the header being line 1.
        text: As read; bytes that are not UTF-8 are written as \\xNN.
        fields: By column; empty when there is a problem.
        problem: Why it could not be split, for a person.
    """

    number: int
    text: str
    fields: dict[str, str]
    problem: str | None = None


def read(stream: IO[bytes], *, name: str, columns: tuple[str, ...]) -> Iterator[Line]:
    """Every line after the header; blank lines are left out.

    Args:
        stream: Bytes, UTF-8 with or without a byte order mark, LF or CRLF.
        name: The file, for errors.
        columns: Columns that the header must have; others are read and left alone.

    Raises:
        NexusError: the header is missing, not UTF-8, or lacks a column. Bad lines do not raise.
    """
    header = _header(stream.readline(MAX_LINE_BYTES), name, columns)
    number = 1
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            _skip_line(stream)
            yield Line(number, _shown(raw[:2000]), {}, f"longer than {MAX_LINE_BYTES} bytes")
            continue
        raw = raw.rstrip(b"\r\n")
        if raw.strip():
            yield _line(number, raw, header)


def _header(raw: bytes, name: str, columns: tuple[str, ...]) -> list[str]:
    if raw.startswith(_OTHER_BOMS) or b"\0" in raw:
        raise invalid("the file is not UTF-8", field=name, value=_shown(raw[:40]), remedy="save it as UTF-8")
    text = raw.removeprefix(_BOM).decode("utf-8", "backslashreplace").strip("\r\n")
    try:
        found = [field.strip() for field in next(csv.reader([text], strict=True), [])]
    except csv.Error:
        found = [text]
    missing = [column for column in columns if column not in found]
    twice = [column for column in columns if found.count(column) > 1]
    if missing or twice:
        raise NexusError(
            f"{name} has no column {', '.join(missing)}" if missing else f"{name} has a column twice: {twice[0]}",
            field=f"{name}:{(missing or twice)[0]}",
            value=",".join(found)[:200],
            remedy=f"the first line must name {','.join(columns)}",
            found=found[:50],
            needed=list(columns),
        )
    return found


def _line(number: int, raw: bytes, header: list[str]) -> Line:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Line(number, _shown(raw), {}, "not UTF-8")
    if "\0" in text:
        return Line(number, _shown(raw).replace("\0", "\\x00"), {}, "holds a zero byte")
    try:
        values = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
    except csv.Error as error:
        return Line(number, text, {}, f"not well quoted: {error}")
    if len(values) != len(header):
        return Line(number, text, {}, f"expected {len(header)} fields, found {len(values)}")
    return Line(number, text, dict(zip(header, values, strict=True)))


def _skip_line(stream: IO[bytes]) -> None:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
