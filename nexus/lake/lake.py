"""The lake: read, write, time travel. Every table write of the house goes through :meth:`Lake.write`.

Belongs here: where tables are, one write function, reads of any version, the compute session.
Does not belong here: what tables exist (nexus.lake.catalogue), transformations (nexus.lake.transforms).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from nexus.errors import NexusError, not_found
from nexus.lake import guard, stored
from nexus.lake.catalogue import declared
from nexus.lake.embedded import EmbeddedWriter
from nexus.lake.jvm import JvmWriter
from nexus.lake.jvm_keeper import JvmKeeper
from nexus.lake.keeper import EmbeddedKeeper, Keeper
from nexus.lake.writer import Frame, Key, Mode, Write, Writer, WriteResult
from nexus.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from nexus.lake.spark import Engine


class Lake:
    """Delta tables under one folder or bucket.

    Args:
        url: The folder or bucket.
        spark_url: A Spark Connect server; None: Sail in this process.
        is_jvm: Whether Spark on Java computes and writes (it needs a ``spark_url``), not Sail and delta-rs.
        memory_mb: What Sail may hold before it spills; None: its default.
    """

    def __init__(
        self, url: str, *, spark_url: str | None = None, is_jvm: bool = False, memory_mb: int | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.is_jvm = is_jvm
        self._spark_url = spark_url
        self._memory_mb = memory_mb
        self._engine: Engine | None = None
        self._writer: Writer = JvmWriter(self.spark) if is_jvm else EmbeddedWriter()
        self.keeper: Keeper = JvmKeeper(self.spark) if is_jvm else EmbeddedKeeper()

    @classmethod
    def from_settings(cls, settings: Settings) -> Lake:
        """The lake that the settings name."""
        lake = settings.lake
        return cls(settings.lake_url, spark_url=lake.spark_url, is_jvm=lake.is_jvm, memory_mb=lake.sail_memory_mb)

    @property
    def is_embedded(self) -> bool:
        """Whether transformations run in this process, so that they see this machine's files."""
        return self._spark_url is None

    def uri(self, table: str) -> str:
        """Where a table lies.

        Raises:
            NexusError: category ``not_found`` when no such table is declared.
        """
        return f"{self.url}/{declared(table).name}"

    def uri_of(self, table: str) -> str:
        """Where a table lies that was written already.

        Raises:
            NexusError: category ``not_found`` when it was not.
        """
        self._open(table, None)
        return self.uri(table)

    def write(
        self,
        table: str,
        frame: Frame,
        *,
        mode: Mode,
        partition: Mapping[str, str] | None = None,
        key: Key | None = None,
        follows: int | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> WriteResult:
        """Write rows after the guards passed.

        Args:
            table: Name in the catalogue.
            frame: Exactly the declared columns.
            mode: ``append``; ``overwrite`` the whole table; ``replace_partition``; ``merge`` by primary key.
            partition: For ``replace_partition``: every partition column with its value as text.
            key: ``(app, version)``. A second write with the same app and the same or an older version is skipped.
            follows: The version that the app's ledger must show before this write (0: none yet), else ``conflict``.
            facts: Text recorded with the commit; :meth:`history` shows it.

        Raises:
            NexusError: ``invalid`` (schema, partition, constraint), ``conflict`` (duplicate keys, other stored shape).
        """
        how = Write(mode, partition, key, follows, facts)
        return self._writer.write(declared(table), self._writable(table), frame, how)

    def read(self, table: str, *, version: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, as of the newest or the given version.

        Raises:
            NexusError: category ``not_found`` when the table or the version is not there.
        """
        # Not delta-rs' to_pyarrow_table: its reader threads abort every second process at exit (1.6.6 with pyarrow 25).
        rows = self.scan(table, version)
        if columns is not None:
            rows = rows.select(columns)
        try:
            return guard.plain_table(rows.collect().to_arrow())
        except FileNotFoundError as error:
            raise not_found(
                f"version {version} of {table} can no longer be read: its files were vacuumed",
                field="version",
                value=version,
                remedy="ask for a newer version; bin/nexus keeps those that registered models need",
            ) from error

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        """The same rows, lazily, for polars."""
        return pl.scan_delta(self._open(table, version))

    def version(self, table: str) -> int | None:
        """The newest version; None when the table is not there yet."""
        return self._open(table, None).version() if self.exists(table) else None

    def identity(self, table: str) -> str:
        """Another after the table was made anew: its versions then count from 0 again and mean something else."""
        return str(self._open(table, None).metadata().id)

    def exists(self, table: str) -> bool:
        """Whether the table was ever written."""
        return DeltaTable.is_deltatable(self.uri(table))

    def count(self, table: str) -> int:
        """How many rows the newest version has."""
        return int(self.scan(table).select(pl.len()).collect().item())

    def content_hash(self, table: str, version: int | None = None) -> str:
        """A digest of the rows: the same whatever files, order or engine they were written by (nexus.lake.content)."""
        from nexus.lake.content import content_hash

        return content_hash(self.scan(table, version), declared(table).primary_key)

    def last_key(self, table: str, app: str) -> int | None:
        """The newest version that an app recorded in the table's ledger."""
        return self._open(table, None).transaction_version(app) if self.exists(table) else None

    def history(self, table: str, limit: int | None = None) -> list[dict[str, Any]]:
        """What was committed, newest first; facts are entries of their own, whichever engine recorded them."""
        return [_with_facts(entry) for entry in stored.history(lambda: self._open(table, None), limit=limit)]

    def spark(self) -> SparkSession:
        """The Spark Connect session of this lake; started on first use."""
        if self._engine is None:
            from nexus.lake.spark import MEMORY_MB, Engine

            memory_mb = MEMORY_MB if self._memory_mb is None else self._memory_mb
            self._engine = Engine(self._spark_url, is_jvm=self.is_jvm, memory_mb=memory_mb)
        return self._engine.session

    def spark_table(self, table: str, version: int | None = None) -> DataFrame:
        """A table as a Spark DataFrame, at one version."""
        at = self._open(table, version).version()
        return self.spark().read.format("delta").option("versionAsOf", str(at)).load(self.uri(table))

    def close(self) -> None:
        """Stop what :meth:`spark` started."""
        if self._engine is not None:
            self._engine.stop()
            self._engine = None

    def _open(self, table: str, version: int | None) -> DeltaTable:
        try:
            return DeltaTable(self.uri(table), version=version)
        except TableNotFoundError:
            raise not_found(
                f"{table} has not been written yet",
                field="table",
                value=table,
                remedy="run bin/nexus pipeline run",
            ) from None
        except DeltaError as error:
            if version is None:
                raise
            newest = DeltaTable(self.uri(table)).version()
            raise not_found(
                f"{table} has no version {version}",
                field="version",
                value=version,
                remedy=f"ask for 0 to {newest}",
            ) from error

    def _writable(self, table: str) -> str:
        uri = self.uri(table)
        if "://" in uri:
            return uri
        try:
            Path(self.url).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NexusError(
                "the lake's folder cannot be written",
                field="lake.url",
                value=self.url,
                remedy="give the folder to this user, or set NEXUS_LAKE__URL",
                cause=error.strerror,
            ) from error
        return uri


def _with_facts(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the history; Spark keeps the facts of a commit as one text, delta-rs beside the other entries."""
    try:
        facts = json.loads(entry.get("userMetadata") or "{}")
    except ValueError:
        return entry
    return {**facts, **entry} if isinstance(facts, dict) else entry


@contextmanager
def opened(settings: Settings) -> Iterator[Lake]:
    """A lake whose engine is stopped at the end."""
    lake = Lake.from_settings(settings)
    try:
        yield lake
    finally:
        lake.close()
