"""What a write is, and what a writer promises: the one seam between the lake and the engines that commit to it.

Belongs here: the values of a write, the protocol. Does not belong here: an engine (nexus.lake.embedded, nexus.lake.jvm).

Every writer checks the declared shape before it writes, casts nothing silently, commits at most once per key, and
reports the version that the table then has. Both keep the keys in the table itself, so that they respect each other's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeGuard, Union

import polars as pl
import pyarrow as pa

from nexus.errors import NexusError
from nexus.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Mode = Literal["append", "overwrite", "replace_partition", "merge"]
Key = tuple[str, int]
Frame: TypeAlias = Union[pa.Table, pl.DataFrame, "DataFrame"]


@dataclass(frozen=True, slots=True)
class Write:
    """How to write.

    Attributes:
        mode: ``append``; ``overwrite`` the whole table; ``replace_partition``; ``merge`` by primary key.
        partition: For ``replace_partition``: every partition column with its value as text.
        key: ``(app, version)``: recorded in the table's ledger; skipped when it is there, or a newer one of the app.
        follows: The version that the ledger must show for the key's app before this write (0: none yet).
        facts: Text recorded with the commit, found again in the history.
    """

    mode: Mode
    partition: Mapping[str, str] | None = None
    key: Key | None = None
    follows: int | None = None
    facts: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.partition is not None and self.mode != "replace_partition":
            raise NexusError(
                f"a partition makes no sense with mode {self.mode}",
                field="partition",
                value=dict(self.partition),
                remedy="use mode replace_partition",
            )


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did.

    Attributes:
        table: Name of the table.
        version: Version of the table after the write; when skipped, the version found.
        rows: Rows written; 0 when skipped.
        is_skipped: The key was there already, so nothing was written.
    """

    table: str
    version: int
    rows: int
    is_skipped: bool = False


class Writer(Protocol):
    """Commits frames to Delta tables."""

    def write(self, table: Table, uri: str, frame: Frame, how: Write) -> WriteResult:
        """Check a frame against the declaration and commit it.

        Raises:
            NexusError: ``invalid`` (schema, partition, constraint), ``conflict`` (duplicate keys, other stored shape,
                ``follows``), ``unavailable`` when other writers win every try.
        """
        ...


def is_spark(frame: Frame) -> TypeGuard[DataFrame]:
    """Whether an engine computes the frame, rather than that its rows are here."""
    return not isinstance(frame, pa.Table | pl.DataFrame) and hasattr(frame, "sparkSession")


def as_arrow(frame: Frame) -> pa.Table:
    """The rows as one Arrow table, whoever made them.

    Raises:
        NexusError: category ``invalid`` when it is no frame.
    """
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.to_arrow()
    if not is_spark(frame):
        raise NexusError(
            "this is no table",
            field="frame",
            value=type(frame).__name__,
            remedy="give a pyarrow.Table, a polars.DataFrame or a Spark DataFrame",
        )
    rows: pa.Table = frame.toArrow()
    return rows
