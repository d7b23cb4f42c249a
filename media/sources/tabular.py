"""One table in a file: lines of text or Parquet, read as text in bounded memory.

Belongs here: which file, which delimiter, reading it in blocks. Does not belong here: what the columns mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from media.sources import archive, blocks, lines
from media.sources.lines import MAX_LINE_BYTES, Dialect
from media.sources.mapping import Written
from nexus.errors import NexusError, invalid

_DELIMITERS = (",", ";", "\t", "|", "::")
_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".item"})
_ROWS = 50_000
Block = tuple[pa.Table, int, int]


@dataclass(frozen=True)
class Table:
    """A table that can be read from its beginning, again and again.

    Attributes:
        files: Where it lies.
        name: Its file.
        columns: The columns that it has.
        wanted: The columns that are read, each once.
        dialect: How its lines are written; None: Parquet.
    """

    files: archive.Files
    name: str
    columns: tuple[str, ...]
    wanted: tuple[str, ...]
    dialect: Dialect | None

    def read(self, after: int) -> Iterator[Block]:
        """Rows behind a line (or Parquet row) number, with the bytes done and the bytes in all."""
        size = self.files.size(self.name)
        with self.files.open(self.name) as stream:
            if self.dialect is None:
                yield from _parquet(stream, self, after)
                return
            for rows in blocks.read(stream, name=self.name, columns=self.wanted, dialect=self.dialect, after=after):
                yield rows, stream.tell(), size


def choose(files: archive.Files, path: Path, wanted: str | None, taken: str | None, *, field: str) -> str:
    """The file that holds the table: the named one, or the only one that may be it.

    Raises:
        NexusError: it is not there, or several may be it.
    """
    names = sorted(name for name in files.names() if name != taken)
    if wanted is not None:
        if wanted not in files.names():
            archive.need(files, path, (wanted,))
        return wanted
    fit = [name for name in names if PurePath(name).suffix.lower() in _SUFFIXES]
    if path.is_file() and len(names) == 1:
        fit = names
    if len(fit) != 1:
        said = "no file that may be a table" if not fit else "several files that may be the table"
        raise NexusError(
            f"there is {said}: {', '.join(fit or names)[:200] or 'nothing'}",
            field=field,
            value=path,
            remedy=f"name the file in the mapping: {field}",
            found=names[:50],
        )
    return fit[0]


def opened(files: archive.Files, name: str, written: Written, wanted: Sequence[str]) -> Table:
    """A table whose columns are known.

    Raises:
        NexusError: it cannot be read.
    """
    once = tuple(dict.fromkeys(wanted))
    with files.open(name) as stream:
        if name.endswith(".parquet"):
            columns = _parquet_columns(stream, name, once)
            return Table(files, name, columns, once, None)
        first = stream.readline(MAX_LINE_BYTES)
    if not first.strip(b"\xef\xbb\xbf \r\n"):
        raise invalid("the file is empty", field=name, value=name, remedy="name a table with rows")
    if written.columns:
        delimiter = written.delimiter or _fitting(
            first, lambda found: len(found) == len(written.columns), written, name
        )
        return Table(files, name, written.columns, once, _dialect(delimiter, written, written.columns))
    delimiter = written.delimiter or _fitting(first, lambda found: set(once) <= set(found), written, name)
    columns = tuple(lines.header(first, name, (), _dialect(delimiter, written)))
    return Table(files, name, columns, once, _dialect(delimiter, written))


def _dialect(delimiter: str, written: Written, columns: tuple[str, ...] = ()) -> Dialect:
    return Dialect(delimiter, written.encoding, is_quoted=len(delimiter) == 1, columns=columns)


def _fitting(first: bytes, fits: Callable[[list[str]], bool], written: Written, name: str) -> str:
    """The delimiter under which the first line fits; else the one that splits it most."""
    found = {
        delimiter: lines.header(first, name, (), _dialect(delimiter, written)) for delimiter in reversed(_DELIMITERS)
    }
    good = [delimiter for delimiter, names in found.items() if fits(names)]
    return good[-1] if good else max(found, key=lambda delimiter: len(found[delimiter]))


def _parquet_columns(stream: IO[bytes], name: str, wanted: Sequence[str]) -> tuple[str, ...]:
    with _parquet_file(stream, name) as file:
        schema = file.schema_arrow
    nested = [field for field in schema if field.name in wanted and not _is_plain(field.type)]
    if nested:
        raise invalid(
            "the column holds no plain values",
            field=f"{name}:{nested[0].name}",
            value=nested[0].type,
            remedy="map a column of text, numbers, times or truth values",
        )
    return tuple(schema.names)


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating)
    more = (pa.types.is_boolean, pa.types.is_timestamp, pa.types.is_date, pa.types.is_decimal, pa.types.is_string_view)
    return any(test(kind) for test in (*tests, *more))


def _parquet_file(stream: IO[bytes], name: str) -> pq.ParquetFile:
    if not stream.seekable():
        raise invalid("a packed Parquet file cannot be read", field="path", value=name, remedy="unpack it first")
    try:
        return pq.ParquetFile(stream)
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(name, error) from error


def _parquet(stream: IO[bytes], table: Table, after: int) -> Iterator[Block]:
    done = 0
    with _parquet_file(stream, table.name) as file:
        total = file.metadata.num_rows
        try:
            for batch in file.iter_batches(_ROWS, columns=list(table.wanted)):
                done += batch.num_rows
                if done > after:
                    rows = _as_text(pa.Table.from_batches([batch]), done - batch.num_rows, table.wanted)
                    yield rows.slice(max(0, after - (done - batch.num_rows))), done, total
        except (pa.ArrowInvalid, OSError) as error:
            raise _broken(table.name, error) from error


def _as_text(rows: pa.Table, before: int, wanted: Sequence[str]) -> pa.Table:
    columns = {name: _text(rows.column(name)) for name in wanted}
    shown = [pc.fill_null(column, "") for column in columns.values()]
    columns[blocks.NUMBER] = pa.chunked_array([pa.array(np.arange(before + 1, before + 1 + rows.num_rows))])
    columns[blocks.TEXT] = pc.binary_join_element_wise(*shown, ",")
    columns[blocks.PROBLEM] = pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])
    return pa.table(columns)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        # With an offset where the column has a zone, so that the time can be read back.
        utc = column.cast(pa.timestamp("us", kind.tz))
        return pc.strftime(utc, "%Y-%m-%dT%H:%M:%S%z" if kind.tz else "%Y-%m-%dT%H:%M:%S")
    if pa.types.is_floating(kind):
        whole = pc.equal(column, pc.floor(column))
        small = pc.less(pc.abs(column), 1e15)
        is_whole = pc.fill_null(pc.and_(whole, small), False)
        digits = pc.cast(pc.if_else(is_whole, column, 0.0), pa.int64()).cast(pa.string())
        return pc.if_else(is_whole, digits, column.cast(pa.string()))
    return column.cast(pa.string())


def _broken(name: str, error: Exception) -> NexusError:
    return invalid(
        f"the file is not whole Parquet ({str(error).splitlines()[0][:150]})",
        field=name,
        value=name,
        remedy="export it again, or load it as CSV",
    )
