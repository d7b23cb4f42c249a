"""Lines of a table of text, many at a time: the same rows as :mod:`media.sources.lines` gives, as Arrow tables.

A block whose lines are all plain is split by Arrow; one that holds anything odd is halved until the odd lines are
alone, and those are read one by one. Belongs here: blocks of bytes to tables of text in bounded memory.
Does not belong here: what the columns mean.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from media.sources import lines
from media.sources.lines import CSV, MAX_LINE_BYTES, Dialect, Line

NUMBER, TEXT, PROBLEM = "line_number", "raw_text", "problem"
_BLOCK_BYTES = 4 << 20
_SMALL_BYTES = 16 << 10
# Characters that no text has; a block that holds one of them is read line by line.
_FIELD_MARK, _NO_MARK = "\x1f", "\x1e"


def read(
    stream: IO[bytes], *, name: str, columns: tuple[str, ...], dialect: Dialect = CSV, after: int = 0
) -> Iterator[pa.Table]:
    """Tables with every column of the file that is asked for, and ``line_number``, ``raw_text``, ``problem``.

    Args:
        stream: Bytes, with or without a byte order mark, LF or CRLF.
        name: The file, for errors.
        columns: Columns that the header must have; others are left out.
        dialect: How the lines are written.
        after: Lines up to this number are left out (they were read before).

    Raises:
        NexusError: as :func:`media.sources.lines.read`.
    """
    names = list(dialect.columns)
    number = 0
    if not names:
        names = lines.header(stream.readline(MAX_LINE_BYTES), name, columns, dialect)
        number = 1
    parser = _Parser(names, columns, dialect)
    for block, is_cut in _blocks(stream):
        count = 1 if is_cut else block.count(b"\n") + (not block.endswith(b"\n"))
        if number + count > after:
            found = parser.cut(number + 1, block) if is_cut else parser.table(number + 1, block)
            yield found.filter(pc.greater(found.column(NUMBER), after)) if number < after else found
        number += count


def _blocks(stream: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Whole lines, or the beginning of a line that is too long (and the rest of it skipped)."""
    while block := stream.read(_BLOCK_BYTES):
        if block.endswith(b"\n"):
            yield block, False
            continue
        rest = stream.readline(MAX_LINE_BYTES)
        if not rest or rest.endswith(b"\n"):
            yield block + rest, False
            continue
        lines.skip_line(stream)
        whole, _, cut = (block + rest).rpartition(b"\n")
        if whole:
            yield whole + b"\n", False
        yield cut, True


class _Parser:
    def __init__(self, names: Sequence[str], columns: Sequence[str], dialect: Dialect) -> None:
        self._names, self._columns, self._dialect = names, columns, dialect
        own = [f"{index}" for index in range(len(names))]
        self._at = [own[list(names).index(column)] for column in columns]
        self._read = pacsv.ReadOptions(column_names=own, use_threads=False, block_size=_BLOCK_BYTES * 2)
        self._raw = pacsv.ReadOptions(column_names=["0"], use_threads=False, block_size=_BLOCK_BYTES * 2)
        self._types = pacsv.ConvertOptions(column_types=dict.fromkeys(own, pa.string()), include_columns=self._at)
        self._text = pacsv.ConvertOptions(column_types={"0": pa.string()})

    def table(self, number: int, block: bytes) -> pa.Table:
        """The rows of whole lines."""
        plain = self._plain(number, block)
        if plain is not None:
            return plain
        middle = block.find(b"\n", len(block) // 2) + 1
        if len(block) > _SMALL_BYTES and 0 < middle < len(block):
            first, second = block[:middle], block[middle:]
            parts = [self.table(number, first), self.table(number + first.count(b"\n"), second)]
            return pa.concat_tables(parts)
        return self._one_by_one(number, block)

    def cut(self, number: int, beginning: bytes) -> pa.Table:
        """The row of a line that is too long."""
        return self._rows([lines.too_long(number, beginning, self._dialect)])

    def _plain(self, number: int, block: bytes) -> pa.Table | None:
        """The rows when every line is plain, else None."""
        dialect = self._dialect
        if dialect.encoding == "latin-1" and not block.isascii():
            block = block.decode("latin-1").encode()
        odd = [_FIELD_MARK, _NO_MARK, "\0", *(['"'] if dialect.is_quoted else [])]
        if any(mark.encode() in block for mark in odd) or (number == 1 and block.startswith(b"\xef\xbb\xbf")):
            return None
        marked, separator = block, dialect.separator
        if len(separator) > 1:
            marked, separator = block.replace(separator.encode(), _FIELD_MARK.encode()), _FIELD_MARK
        try:
            fields = pacsv.read_csv(io.BytesIO(marked), self._read, _plainly(separator), self._types)
            text = pacsv.read_csv(io.BytesIO(block), self._raw, _plainly(_NO_MARK), self._text).column(0)
        except pa.ArrowInvalid:
            return None
        count = block.count(b"\n") + (not block.endswith(b"\n"))
        if len(text) != count or fields.num_rows != count or _longest(text) >= MAX_LINE_BYTES - 2 or _has_blank(text):
            return None
        numbers = pa.array(np.arange(number, number + count, dtype=np.int64))
        none = pa.nulls(count, pa.string())
        values = [fields.column(at) for at in self._at]
        return pa.table([*values, numbers, text, none], names=[*self._columns, NUMBER, TEXT, PROBLEM])

    def _one_by_one(self, number: int, block: bytes) -> pa.Table:
        found: list[Line] = []
        for offset, raw in enumerate(_split(block)):
            if len(raw) > MAX_LINE_BYTES or (len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n")):
                found.append(lines.too_long(number + offset, raw, self._dialect))
                continue
            line = lines.split(number + offset, raw, self._names, self._dialect)
            if line is not None:
                found.append(line)
        return self._rows(found)

    def _rows(self, found: Sequence[Line]) -> pa.Table:
        columns = {name: pa.array([line.fields.get(name) for line in found], pa.string()) for name in self._columns}
        numbers = pa.array([line.number for line in found], pa.int64())
        text = pa.array([line.text for line in found], pa.string())
        problems = pa.array([line.problem for line in found], pa.string())
        return pa.table(columns | {NUMBER: numbers, TEXT: text, PROBLEM: problems})


def _plainly(separator: str) -> pacsv.ParseOptions:
    return pacsv.ParseOptions(delimiter=separator, quote_char=False, double_quote=False, ignore_empty_lines=False)


def _longest(text: pa.ChunkedArray) -> int:
    return int(pc.max(pc.binary_length(text)).as_py() or 0)


def _has_blank(text: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.equal(pc.binary_length(pc.ascii_trim_whitespace(text)), 0)).as_py())


def _split(block: bytes) -> list[bytes]:
    """Lines by LF alone, each with its end."""
    parts = [part + b"\n" for part in block.split(b"\n")]
    last = parts.pop()[:-1]
    return [*parts, last] if last else parts
