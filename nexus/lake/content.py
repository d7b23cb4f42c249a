"""One digest of what a table says, whatever files, order or engine it was written by.

Belongs here: rows in a canonical order, values as canonical bytes, SHA-256. Does not belong here: reading tables (nexus.lake.lake).

Two tables have the same digest exactly when they have the same columns (name and type) and the same rows, each as often,
floating-point numbers compared bit by bit (all NaN count as one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nexus.lake.guard import plain, plain_table

FORMAT = "nexus-content-1"
_ROWS = 65_536


class _Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


def content_hash(rows: pl.LazyFrame, primary_key: tuple[str, ...] = ()) -> str:
    """The digest as 64 hexadecimal digits.

    Args:
        rows: The rows, in any order.
        primary_key: Columns to sort by first: that is quicker, and changes nothing where the key is unique.
    """
    names = sorted(rows.collect_schema().names())
    order = [*(name for name in primary_key if name in names), *(name for name in names if name not in primary_key)]
    frame = rows.select(names).sort(order, nulls_last=False).collect() if names else pl.DataFrame()
    schema = plain_table(frame.head(0).to_arrow()).schema
    digests = [hashlib.sha256() for _ in names]
    for batch in _batches(frame):
        for digest, column in zip(digests, batch.columns, strict=True):
            _feed(digest, column.combine_chunks())
    whole = hashlib.sha256(f"{FORMAT}\n{frame.height}\n".encode())
    for field, digest in zip(schema, digests, strict=True):
        whole.update(f"{field.name}\x00{plain(field.type)}\x00{digest.hexdigest()}\n".encode())
    return whole.hexdigest()


def _batches(frame: pl.DataFrame) -> Iterator[pa.Table]:
    # Always the same number of rows, so that lengths and values come in the same turns.
    for start in range(0, frame.height, _ROWS):
        yield plain_table(frame.slice(start, _ROWS).to_arrow())


def _feed(digest: _Digest, values: pa.Array) -> None:
    """Which values are there, then the values; those that are not count nothing."""
    digest.update(_bits(values.is_valid()))
    _feed_present(digest, values.drop_null() if values.null_count else values)


def _feed_present(digest: _Digest, values: pa.Array) -> None:
    kind = values.type
    if pa.types.is_struct(kind):
        for inner in sorted(kind, key=lambda field: field.name):
            _feed(digest, pc.struct_field(values, inner.name))
    elif pa.types.is_list(kind):
        digest.update(_numbers(values.value_lengths(), "<i8"))
        _feed(digest, values.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        digest.update(_numbers(pc.binary_length(values), "<i8"))
        digest.update(_text(values))
    elif pa.types.is_boolean(kind):
        digest.update(_bits(values))
    elif pa.types.is_floating(kind):
        numbers = values.to_numpy(zero_copy_only=False)
        digest.update(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8", copy=False).tobytes())
    elif pa.types.is_integer(kind):
        digest.update(_numbers(values, "<i8"))
    elif pa.types.is_timestamp(kind):
        digest.update(_numbers(values.cast(pa.timestamp("us", kind.tz)).view(pa.int64()), "<i8"))
    elif pa.types.is_date32(kind):
        digest.update(_numbers(values.view(pa.int32()), "<i8"))
    else:
        digest.update(_joined(values.cast(pa.string())))


def _bits(values: pa.Array) -> bytes:
    return np.packbits(values.to_numpy(zero_copy_only=False).astype(bool)).tobytes()


def _numbers(values: pa.Array, kind: str) -> bytes:
    return values.to_numpy(zero_copy_only=False).astype(kind, copy=False).tobytes()


def _text(values: pa.Array) -> bytes:
    """All texts, one behind the other."""
    width = 4
    offsets = values.buffers()[1]
    data = values.buffers()[2]
    if not len(values) or data is None or offsets is None:
        return b""
    ends = np.frombuffer(offsets, "<i4", count=len(values) + 1, offset=values.offset * width)
    return memoryview(data)[int(ends[0]) : int(ends[-1])].tobytes()


def _joined(values: pa.Array) -> bytes:
    return _numbers(pc.binary_length(values), "<i8") + _text(values)
