"""Lines of a table of text, read one by one in bounded memory; a broken line is data, not an exception.

Belongs here: dialects, and bytes to fields. Does not belong here: what the fields mean, many lines at once (blocks).
One line is one record: a quoted field may hold separators, never a line break.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal

from nexus.errors import NexusError, invalid

MAX_LINE_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table of lines is written.

    Attributes:
        separator: What stands between fields.
        encoding: ``utf-8``, or ``latin-1`` where every byte is a character.
        is_quoted: Whether double quotes hold a field together; only with a separator of one character.
        columns: Names of the columns where the first line does not name them.
    """

    separator: str = ","
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    is_quoted: bool = True
    columns: tuple[str, ...] = ()


CSV = Dialect()


@dataclass(frozen=True, slots=True)
class Line:
    r"""One line: its fields by the header's names, or the problem that it has none.

    Attributes:
        number: Counted from 1; a header is line 1.
        text: As read; bytes that are not in the encoding are written as \\xNN.
        fields: By column; empty when there is a problem.
        problem: Why it could not be split, for a person.
    """

    number: int
    text: str
    fields: dict[str, str]
    problem: str | None = None


def read(stream: IO[bytes], *, name: str, columns: tuple[str, ...], dialect: Dialect = CSV) -> Iterator[Line]:
    """Every line after the header; blank lines are left out.

    Args:
        stream: Bytes, with or without a byte order mark, LF or CRLF.
        name: The file, for errors.
        columns: Columns that the header must have; others are read and left alone.
        dialect: How the lines are written.

    Raises:
        NexusError: the header is missing, in another encoding, or lacks a column. Bad lines do not raise.
    """
    names = list(dialect.columns) or header(stream.readline(MAX_LINE_BYTES), name, columns, dialect)
    number = 0 if dialect.columns else 1
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            skip_line(stream)
            yield too_long(number, raw, dialect)
            continue
        found = split(number, raw, names, dialect)
        if found is not None:
            yield found


def header(raw: bytes, name: str, columns: Sequence[str], dialect: Dialect = CSV) -> list[str]:
    """The names in a first line.

    Raises:
        NexusError: it is missing, in another encoding, names a column twice, or lacks one.
    """
    if raw.startswith(_OTHER_BOMS) or b"\0" in raw:
        raise invalid("the file is not UTF-8", field=name, value=_shown(raw[:40]), remedy="save it as UTF-8")
    text = _decoded(raw.removeprefix(_BOM), dialect.encoding).strip("\r\n")
    if "\r" in text:
        raise invalid("the lines end with CR alone", field=name, value=text[:80], remedy="save it with LF or CRLF")
    found = [field.strip() for field in _values(text, dialect) or [text]]
    missing = [column for column in columns if column not in found]
    twice = [column for column in columns if found.count(column) > 1]
    if missing or twice:
        raise NexusError(
            f"{name} has no column {', '.join(missing)}" if missing else f"{name} has a column twice: {twice[0]}",
            field=f"{name}:{(missing or twice)[0]}",
            value=dialect.separator.join(found)[:200],
            remedy=f"the first line must name {dialect.separator.join(columns)}",
            found=found[:50],
            needed=list(columns),
        )
    return found


def split(number: int, raw: bytes, names: Sequence[str], dialect: Dialect = CSV) -> Line | None:
    """One whole line; None when it is blank."""
    raw = raw.rstrip(b"\r\n")
    if number == 1:
        raw = raw.removeprefix(_BOM)
    if not raw.strip():
        return None
    try:
        text = raw.decode(dialect.encoding)
    except UnicodeDecodeError:
        return Line(number, _shown(raw), {}, "not UTF-8")
    if "\0" in text:
        return Line(number, text.replace("\0", "\\x00"), {}, "holds a zero byte")
    try:
        values = _values_strict(text, dialect)
    except csv.Error as error:
        return Line(number, text, {}, f"not well quoted: {error}")
    if len(values) != len(names):
        return Line(number, text, {}, f"expected {len(names)} fields, found {len(values)}")
    return Line(number, text, dict(zip(names, values, strict=True)))


def too_long(number: int, raw: bytes, dialect: Dialect = CSV) -> Line:
    """The line that a beginning without an end stands for."""
    text = _decoded(raw[:2000], dialect.encoding).replace("\0", "\\x00")
    return Line(number, text, {}, f"longer than {MAX_LINE_BYTES} bytes")


def skip_line(stream: IO[bytes]) -> None:
    """Read on to the end of the line."""
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _values(text: str, dialect: Dialect) -> list[str] | None:
    try:
        return _values_strict(text, dialect)
    except csv.Error:
        return None


def _values_strict(text: str, dialect: Dialect) -> list[str]:
    if dialect.is_quoted and '"' in text:
        return next(csv.reader([text], strict=True, delimiter=dialect.separator), [])
    return text.split(dialect.separator)


def _decoded(raw: bytes, encoding: str) -> str:
    return raw.decode(encoding, "backslashreplace")


def _shown(raw: bytes) -> str:
    return _decoded(raw, "utf-8").replace("\0", "\\x00")
