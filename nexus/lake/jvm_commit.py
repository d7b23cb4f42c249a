"""Commits to one Delta table by Spark's own writer, over Connect: SQL and writer options, nothing else.

Belongs here: the statements, retries from a fresh snapshot, Delta's conditions as our errors. Does not belong here:
guards (nexus.lake.spark_guard), sessions (nexus.lake.spark). No ``DeltaTable`` API: Connect has no handler for it.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from nexus import logs
from nexus.errors import Category, NexusError, unavailable
from nexus.lake.stored import (
    CONSTRAINT,
    check_stored,
    differing,
    gave_up,
    history,
    is_applied,
    missing,
    refused,
    snapshot_of,
)
from nexus.lake.table import PROPERTIES, Table
from nexus.lake.writer import Write, WriteResult

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.errors import PySparkException
    from pyspark.sql import DataFrame, SparkSession

MARK = "nexus_write"
"""Fact that names a commit, so that its version is found whoever commits at the same time."""
_TRIES = 20
AGAIN = (
    "DELTA_CONCURRENT_",
    "DELTA_METADATA_CHANGED",
    "DELTA_PROTOCOL_CHANGED",
    "DELTA_CONSTRAINT_ALREADY_EXISTS",
    "DELTA_TABLE_ALREADY_EXISTS",
    "DELTA_PATH_EXISTS",
    "TABLE_OR_VIEW_ALREADY_EXISTS",
)
# A table that another writer is just making looks like a folder with strange files in it; so do strange files.
_MAYBE_BEING_MADE, _MAKING_TRIES = "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION", 6
_BEING_MADE_S = 10.0
_REFUSALS = ("DELTA_VIOLATE_CONSTRAINT", "DELTA_NOT_NULL_CONSTRAINT", "DELTA_REPLACE_WHERE_MISMATCH")
_APP, _VERSION, _FACTS = (
    "spark.databricks.delta.write.txnAppId",
    "spark.databricks.delta.write.txnVersion",
    "spark.databricks.delta.commitInfo.userMetadata",
)


def commit(table: Table, uri: str, rows: DataFrame, count: int, how: Write) -> WriteResult:
    """Write rows that passed the guards, exactly once per key, however many writers try at once.

    Args:
        table: The declaration.
        uri: Where it lies.
        rows: At least one row, in the declared shape.
        count: How many rows there are.
        how: How to write; without ``follows``.

    Raises:
        NexusError: ``invalid`` for a broken constraint, ``conflict`` when the stored table has another shape,
            ``unavailable`` when other writers win every try or the engine does not answer.
    """
    from pyspark.errors import PySparkException

    for attempt in range(_TRIES):
        try:
            snapshot = _open_or_create(table, uri, rows.sparkSession, how)
            if is_applied(snapshot, how):
                return WriteResult(table.name, snapshot.version(), 0, is_skipped=True)
            mark = uuid.uuid4().hex
            _write(table, uri, rows, how, json.dumps({**(how.facts or {}), MARK: mark}))
            return _result(table, uri, snapshot.version(), mark, count)
        except PySparkException as error:
            condition = error.getCondition() or ""
            if not _is_worth_another_try(condition, attempt):
                raise translated(table, error) from error
            logs.get(__name__).debug("commit_conflict", table=table.name, attempt=attempt, cause=condition)
            time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))  # noqa: S311 spreads writers, no secret
    raise gave_up(table, _TRIES)


def _is_worth_another_try(condition: str, attempt: int) -> bool:
    return condition.startswith(AGAIN) or (condition == _MAYBE_BEING_MADE and attempt < _MAKING_TRIES)


def place(uri: str) -> str:
    """The table's place as SQL names it; Hadoop's S3 client is called ``s3a``."""
    path = f"s3a://{uri.removeprefix('s3://')}" if uri.startswith("s3://") else uri
    return "delta.`" + path.replace("`", "``") + "`"


def _open_or_create(table: Table, uri: str, session: SparkSession, how: Write) -> DeltaTable:
    """A fresh snapshot; the table exists, has the declared columns, and carries its constraints afterwards."""
    snapshot = snapshot_of(uri)
    if snapshot is None:
        session.sql(_creation(table, uri, "CREATE TABLE IF NOT EXISTS")).collect()
        snapshot = _there(uri, patience_s=_BEING_MADE_S)
    check_stored(table, snapshot, how.mode)
    if differing(table, snapshot) and not is_applied(snapshot, how):
        return _reshape(table, uri, session)
    constraints, properties = missing(table, snapshot)
    for name, sql in constraints.items():
        session.sql(f"ALTER TABLE {place(uri)} ADD CONSTRAINT {name} CHECK ({sql})").collect()
    if properties:
        listed = ", ".join(f"{_quoted(name)} = {_quoted(text)}" for name, text in properties.items())
        session.sql(f"ALTER TABLE {place(uri)} SET TBLPROPERTIES ({listed})").collect()
    return _there(uri) if constraints or properties else snapshot


def _there(uri: str, patience_s: float = 0.0) -> DeltaTable:
    """The table that exists by now.

    To Spark a table exists as soon as somebody's folder of commits does, which is before the first commit is in it.
    """
    deadline = time.monotonic() + patience_s
    while (snapshot := snapshot_of(uri)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if snapshot is None:
        raise unavailable(
            "the engine made a table that this process does not see",
            remedy="engine and NEXUS must reach the same storage: lake.url must name it for both",
            url=uri,
        )
    return snapshot


def _creation(table: Table, uri: str, verb: str) -> str:
    columns = ", ".join(
        f"`{column.name}` {_sql_type(column.type)}{'' if column.nullable else ' NOT NULL'} "
        f"COMMENT {_quoted(table.doc(column.name))}"
        for column in table.schema
    )
    partitions = f" PARTITIONED BY ({', '.join(table.partition_by)})" if table.partition_by else ""
    checks = {f"{CONSTRAINT}{name}": sql for name, sql in table.constraints.items()}
    properties = ", ".join(f"{_quoted(name)} = {_quoted(text)}" for name, text in {**PROPERTIES, **checks}.items())
    described = f"COMMENT {_quoted(table.description)} TBLPROPERTIES ({properties})"
    return f"{verb} {place(uri)} ({columns}) USING DELTA{partitions} {described}"


def _reshape(table: Table, uri: str, session: SparkSession) -> DeltaTable:
    """The declared columns instead of the stored ones, before the whole table is overwritten.

    A commit of its own: Spark's overwrite forgets which columns may be null. If the process dies in between, the next
    rebuild finds neither key nor facts and goes on; older versions stay readable.
    """
    session.sql(_creation(table, uri, "REPLACE TABLE")).collect()
    return _there(uri)


def _sql_type(kind: pa.DataType) -> str:
    from pyspark.sql.pandas.types import from_arrow_type

    return str(from_arrow_type(kind).simpleString())


def _write(table: Table, uri: str, rows: DataFrame, how: Write, facts: str) -> None:
    if how.mode == "merge":
        _merge(table, uri, rows, how, facts)
        return
    mode = "append" if how.mode == "append" else "overwrite"
    writer = rows.write.format("delta").mode(mode).option("userMetadata", facts)
    if how.mode == "replace_partition":
        writer = writer.option("replaceWhere", _predicate(how))
    if how.key is not None:
        writer = writer.option("txnAppId", how.key[0]).option("txnVersion", str(how.key[1]))
    writer.save(place(uri).removeprefix("delta.`").removesuffix("`").replace("``", "`"))


def _predicate(how: Write) -> str:
    return " AND ".join(f"`{name}` = {_quoted(value)}" for name, value in (how.partition or {}).items())


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _merge(table: Table, uri: str, rows: DataFrame, how: Write, facts: str) -> None:
    on = " AND ".join(f"target.`{name}` = source.`{name}`" for name in table.primary_key)
    statement = (
        f"MERGE INTO {place(uri)} AS target USING {{rows}} AS source ON {on} "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    session = rows.sparkSession
    confs = {_FACTS: facts} | ({_APP: how.key[0], _VERSION: str(how.key[1])} if how.key else {})
    with _set(session, confs):
        session.sql(statement, rows=rows).collect()


@contextmanager
def _set(session: SparkSession, confs: dict[str, str]) -> Iterator[None]:
    for name, value in confs.items():
        session.conf.set(name, value)
    try:
        yield
    finally:
        for name in confs:
            session.conf.unset(name)


def _result(table: Table, uri: str, before: int, mark: str, count: int) -> WriteResult:
    """The version that carries our mark; none does when Delta found the key in its ledger and skipped the write."""
    entries = history(lambda: _there(uri), since=before)
    for entry in entries:
        if mark in (entry.get("userMetadata") or ""):
            return WriteResult(table.name, int(entry["version"]), count)
    return WriteResult(table.name, entries[0]["version"], 0, is_skipped=True)


def translated(table: Table, error: PySparkException) -> NexusError:
    """Delta's condition as our error: never decided by class or text."""
    condition = error.getCondition() or ""
    if condition.startswith(_REFUSALS):
        said = error.getMessageParameters() or {}
        name = said.get("constraintName") or said.get("columnName") or condition
        return refused(table, f"{name} is broken", (said.get("values") or "").strip() or None)
    if not condition:
        return unavailable(
            "the Spark Connect server does not answer",
            remedy="run bin/nexus status; check lake.spark_url",
            cause=str(error)[:200],
        )
    return NexusError(
        f"{table.name}: the engine refused the write: {condition}",
        category=Category.INTERNAL,
        field=table.name,
        remedy="see the engine's log (bin/nexus logs spark)",
        condition=condition,
        cause=str(error)[:500],
    )
