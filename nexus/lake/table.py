"""What a declared table is, and short spellings for its columns.

Belongs here: the :class:`Table` value and the column helpers that the files under ``nexus/lake/tables`` use.
Does not belong here: the tables themselves, or anything that reads or writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

UTC_TIME = pa.timestamp("us", "UTC")
# What goes and when is decided by nexus.lake.maintenance alone. With Delta's own terms (30 and 7 days) the log would
# forget versions that a model must be rebuilt from, and which files they need.
PROPERTIES: Mapping[str, str] = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
}
EXTERNAL_IDS = pa.list_(pa.struct([pa.field("issuer", pa.string()), pa.field("value", pa.string())]))


@dataclass(frozen=True)
class Table:
    """A lake table as it is declared once: the writer, the checks and the documentation read this.

    Attributes:
        name: ``{layer}_{source}__{entity}``; also the asset key and the folder.
        description: One sentence, for a person.
        schema: Exact columns; each field's metadata ``comment`` (Spark's name for it) says what it means, ``nullable`` is enforced.
        partition_by: Columns that name the folders.
        primary_key: Columns that identify a row; unique, and what ``merge`` matches on.
        constraints: SQL conditions by name, added to the Delta table and enforced by every engine.
    """

    name: str
    description: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    constraints: Mapping[str, str] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """The part of the name before the first underscore."""
        return self.name.partition("_")[0]

    def doc(self, column: str) -> str:
        """What a column means."""
        metadata = self.schema.field(column).metadata or {}
        return metadata.get(b"comment", b"").decode()


def column(name: str, kind: pa.DataType, doc: str, *, nullable: bool = False) -> pa.Field:
    """A column with its documentation."""
    return pa.field(name, kind, nullable=nullable, metadata={"comment": doc})


def text(name: str, doc: str, *, nullable: bool = False) -> pa.Field:
    """A string column."""
    return column(name, pa.string(), doc, nullable=nullable)


def whole(name: str, doc: str, *, nullable: bool = False) -> pa.Field:
    """A 64-bit whole number."""
    return column(name, pa.int64(), doc, nullable=nullable)


def number(name: str, doc: str, *, nullable: bool = False) -> pa.Field:
    """A 64-bit floating-point number."""
    return column(name, pa.float64(), doc, nullable=nullable)


def instant(name: str, doc: str, *, nullable: bool = False) -> pa.Field:
    """A point in time, UTC, microseconds."""
    return column(name, UTC_TIME, doc, nullable=nullable)


def date(name: str, doc: str, *, nullable: bool = False) -> pa.Field:
    """A calendar day, UTC."""
    return column(name, pa.date32(), doc, nullable=nullable)
