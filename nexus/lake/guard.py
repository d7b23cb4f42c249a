"""The guards that stand before the one writer: schema, partition, primary key.

Belongs here: pure functions over Arrow data and a declaration. Does not belong here: Delta, files, engines.

Why before the writer: delta-rs casts silently (1.5 becomes 1 in a bigint column), Sail ignores predicates and drops
columns (docs/architecture.md), so nothing may rely on the engine to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    faults = [*_name_faults(table, frame), *_column_faults(table, frame)]
    if faults:
        column, expected, got, value = faults[0]
        listed = "; ".join(f"{name}: expected {want}, got {have}" for name, want, have, _ in faults)
        raise NexusError(
            f"{table.name} refuses the frame: {listed}",
            field=f"{table.name}.{column}",
            value=value,
            remedy="give exactly the declared columns and types (nexus/lake/tables); cast explicitly before writing",
            expected=expected,
            got=got,
            faults=[{"column": name, "expected": want, "got": have} for name, want, have, _ in faults],
        )
    ordered = frame.select(table.schema.names)
    columns = [
        chunked if chunked.type == declared.type else chunked.cast(declared.type)
        for chunked, declared in zip(ordered.columns, table.schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


_Fault = tuple[str, str, str, object]


def _name_faults(table: Table, frame: pa.Table) -> list[_Fault]:
    declared, given = table.schema.names, frame.schema.names
    faults: list[_Fault] = []
    for name in declared:
        if name not in given:
            near = next((other for other in given if other.lower() == name.lower()), None)
            faults.append((name, "the column", f"no such column{f' (but {near})' if near else ''}", None))
    faults += [(name, "no such column", "an extra column", name) for name in given if name not in declared]
    faults += [(name, "the column once", "it twice", name) for name in {n for n in given if given.count(n) > 1}]
    return faults


def _column_faults(table: Table, frame: pa.Table) -> list[_Fault]:
    faults: list[_Fault] = []
    for declared in table.schema:
        if frame.schema.names.count(declared.name) != 1:
            continue
        given = frame.column(declared.name)
        if plain(given.type) != plain(declared.type):
            hint = " (all null: give the column a type)" if pa.types.is_null(given.type) else ""
            hint = " (no time zone)" if pa.types.is_timestamp(given.type) and given.type.tz is None else hint
            faults.append((declared.name, str(declared.type), f"{given.type}{hint}", None))
        elif not declared.nullable and given.null_count:
            faults.append((declared.name, f"{declared.type} not null", f"{given.null_count} nulls", None))
    return faults


def check_partition(table: Table, frame: pa.Table, partition: Mapping[str, str] | None) -> None:
    """Refuse a partition that is not one of the table's, and rows that lie outside it.

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
    for name, wanted in partition.items():
        inside = pc.equal(pc.cast(frame.column(name), pa.string()), wanted)
        outside = len(frame) - (pc.sum(pc.fill_null(inside, False)).as_py() or 0)
        if outside:
            others = [str(value) for value in pc.unique(frame.column(name)).to_pylist() if str(value) != wanted]
            raise NexusError(
                f"{table.name}: {outside} rows lie outside the partition {name}={wanted}",
                field=f"{table.name}.{name}",
                value=", ".join(others[:5]),
                remedy="write each partition with its own rows",
                expected=wanted,
                got=others[:5],
            )


def check_unique(table: Table, frame: pa.Table) -> None:
    """Refuse rows that share a primary key.

    Raises:
        NexusError: category ``conflict``; the value is the first such key.
    """
    found = duplicates(table, frame)
    if found:
        raise NexusError(
            f"{table.name}: {len(found)} keys occur more than once",
            category=Category.CONFLICT,
            field=f"{table.name}.({', '.join(table.primary_key)})",
            value=found[0],
            remedy="keep one row per primary key before writing",
        )


def duplicates(table: Table, frame: pa.Table) -> list[dict[str, Any]]:
    """Primary keys that occur more than once, with their counts."""
    if not table.primary_key:
        return []
    counted = frame.group_by(list(table.primary_key)).aggregate([([], "count_all")])
    return counted.filter(pc.greater(counted.column("count_all"), 1)).to_pylist()
