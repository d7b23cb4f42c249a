"""The guards that stand before the one writer: schema, partition, primary key.

Belongs here: pure functions over Arrow data and a declaration. Does not belong here: Delta, files, engines.

Why before the writer: delta-rs casts silently (1.5 becomes 1 in a bigint column), Sail ignores predicates and drops
columns (docs/architecture.md), so nothing may rely on the engine to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nexus.errors import Category, NexusError
from nexus.lake.table import Table

_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "+00:00", "Z"})


def plain(kind: pa.DataType) -> pa.DataType:
    """The type without differences that lose nothing: dictionary, large and view variants, spellings of UTC."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(inner.name, plain(inner.type)) for inner in kind])
    if pa.types.is_timestamp(kind) and kind.tz in _UTC_NAMES:
        return pa.timestamp(kind.unit, "UTC")
    return kind


def plain_table(frame: pa.Table) -> pa.Table:
    """The frame with every column in its plain type."""
    return frame.cast(pa.schema([pa.field(column.name, plain(column.type)) for column in frame.schema]))


def conform(table: Table, frame: pa.Table) -> pa.Table:
    """The frame in exactly the declared shape (columns in the declared order), or one error that lists every fault.

    Raises:
        NexusError: category ``invalid``; field is ``table.column``, evidence has ``expected``, ``got`` and ``faults``.
    """
    names = [name for name in table.schema.names if frame.schema.names.count(name) == 1]
    refuse(
        table,
        [*schema_faults(table, frame.schema), *null_faults(table, {n: frame.column(n).null_count for n in names})],
    )
    ordered = frame.select(table.schema.names)
    columns = [
        chunked if chunked.type == declared.type else chunked.cast(declared.type)
        for chunked, declared in zip(ordered.columns, table.schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


Fault = tuple[str, str, str, object]
"""Column, what was expected, what was found, the value."""


def refuse(table: Table, faults: Sequence[Fault]) -> None:
    """Raise one error that lists every fault, if there is any.

    Raises:
        NexusError: category ``invalid``.
    """
    if not faults:
        return
    in_order = sorted(faults, key=lambda fault: _position(table, fault[0]))
    column, expected, got, value = in_order[0]
    listed = "; ".join(f"{name}: expected {want}, got {have}" for name, want, have, _ in in_order)
    raise NexusError(
        f"{table.name} refuses the frame: {listed}",
        field=f"{table.name}.{column}",
        value=value,
        remedy="give exactly the declared columns and types (nexus/lake/tables); cast explicitly before writing",
        expected=expected,
        got=got,
        faults=[{"column": name, "expected": want, "got": have} for name, want, have, _ in in_order],
    )


def _position(table: Table, column: str) -> tuple[int, str]:
    names = table.schema.names
    return (names.index(column) if column in names else len(names), column)


def schema_faults(table: Table, given: pa.Schema) -> list[Fault]:
    """What is wrong with the columns of a frame: missing, extra, twice, of another type."""
    names = given.names
    faults: list[Fault] = []
    for declared in table.schema:
        count = names.count(declared.name)
        if count == 0:
            near = next((other for other in names if other.lower() == declared.name.lower()), None)
            faults.append((declared.name, "the column", f"no such column{f' (but {near})' if near else ''}", None))
        elif count == 1 and plain(given.field(declared.name).type) != plain(declared.type):
            kind = given.field(declared.name).type
            hint = " (all null: give the column a type)" if pa.types.is_null(kind) else ""
            hint = " (no time zone)" if pa.types.is_timestamp(kind) and kind.tz is None else hint
            faults.append((declared.name, str(declared.type), f"{kind}{hint}", None))
    faults += [(name, "no such column", "an extra column", name) for name in names if name not in table.schema.names]
    faults += [(name, "the column once", "it twice", name) for name in {n for n in names if names.count(n) > 1}]
    return faults


def null_faults(table: Table, nulls: Mapping[str, int]) -> list[Fault]:
    """Nulls in columns that are declared without."""
    return [
        (declared.name, f"{declared.type} not null", f"{nulls[declared.name]} nulls", None)
        for declared in table.schema
        if not declared.nullable and nulls.get(declared.name)
    ]


def check_partition(table: Table, frame: pa.Table, partition: Mapping[str, str] | None) -> None:
    """Refuse a partition that is not one of the table's, and rows that lie outside it.

    Raises:
        NexusError: category ``invalid``.
    """
    for name, wanted in partition_of(table, partition).items():
        inside = pc.equal(pc.cast(frame.column(name), pa.string()), wanted)
        outside = len(frame) - (pc.sum(pc.fill_null(inside, False)).as_py() or 0)
        if outside:
            others = [str(value) for value in pc.unique(frame.column(name)).to_pylist() if str(value) != wanted]
            raise outside_partition(table, name, wanted, outside, others[:5])


def partition_of(table: Table, partition: Mapping[str, str] | None) -> Mapping[str, str]:
    """The partition, when it names exactly the table's partition columns.

    Raises:
        NexusError: category ``invalid``.
    """
    if partition is None or set(partition) != set(table.partition_by) or not partition:
        raise NexusError(
            f"{table.name} cannot replace this partition",
            field="partition",
            value=dict(partition or {}),
            remedy=f"name exactly the partition columns: {', '.join(table.partition_by) or '(the table has none)'}",
        )
    return partition


def outside_partition(table: Table, name: str, wanted: str, rows: int, others: list[str]) -> NexusError:
    """The error for rows of other partitions."""
    return NexusError(
        f"{table.name}: {rows} rows lie outside the partition {name}={wanted}",
        field=f"{table.name}.{name}",
        value=", ".join(others),
        remedy="write each partition with its own rows",
        expected=wanted,
        got=others,
    )


def check_unique(table: Table, frame: pa.Table) -> None:
    """Refuse rows that share a primary key.

    Raises:
        NexusError: category ``conflict``; the value is the first such key.
    """
    found = duplicates(table, frame)
    if found:
        raise repeated(table, len(found), found[0])


def repeated(table: Table, keys: int, example: object) -> NexusError:
    """The error for keys that occur more than once."""
    return NexusError(
        f"{table.name}: {keys} keys occur more than once",
        category=Category.CONFLICT,
        field=f"{table.name}.({', '.join(table.primary_key)})",
        value=example,
        remedy="keep one row per primary key before writing",
    )


def duplicates(table: Table, frame: pa.Table) -> list[dict[str, Any]]:
    """Primary keys that occur more than once, with their counts."""
    if not table.primary_key:
        return []
    counted = frame.group_by(list(table.primary_key)).aggregate([([], "count_all")])
    return counted.filter(pc.greater(counted.column("count_all"), 1)).to_pylist()
