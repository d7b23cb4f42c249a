"""Every table of the lake, declared once. The declarations are in ``nexus/lake/tables``, one file per layer.

Belongs here: the mapping from name to declaration. Does not belong here: reading and writing (nexus.lake.lake).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from nexus.errors import not_found
from nexus.lake.table import Table
from nexus.lake.tables import chain, core, features, marts, quarantine, raw, reports


def _by_name(tables: Iterable[Table]) -> Mapping[str, Table]:
    found: dict[str, Table] = {}
    for table in tables:
        if table.name in found:
            raise ValueError(f"table {table.name} is declared twice")
        unknown = {*table.primary_key, *table.partition_by} - set(table.schema.names)
        if unknown:
            raise ValueError(f"table {table.name} has a key or partition column that it does not declare: {unknown}")
        found[table.name] = table
    return MappingProxyType(found)


TABLES: Mapping[str, Table] = _by_name(
    (*raw.TABLES, *core.TABLES, *marts.TABLES, *features.TABLES, *reports.TABLES, *quarantine.TABLES, *chain.TABLES)
)


def declared(name: str) -> Table:
    """The declaration of a table.

    Raises:
        NexusError: category ``not_found``.
    """
    try:
        return TABLES[name]
    except KeyError:
        raise not_found(
            "no such table in the catalogue",
            field="table",
            value=name,
            remedy="declare it in nexus/lake/tables; known: " + ", ".join(TABLES),
        ) from None


__all__ = ["TABLES", "Table", "declared"]
