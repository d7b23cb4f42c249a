"""Refused rows: what they are, what people say they should have been, and judging them again.

Belongs here: listing, corrections as rows of their own, laying them over raw tables, the record of each replay.
Does not belong here: the rules (nexus.lake.transforms), running them (Dagster's job ``core``).

A raw row never changes. A correction names the refused row and the text that a column should have had; the newest one counts.
Layer core judges raw rows with the corrections laid over them, so a corrected row becomes one row of core, like any other.
"""

from __future__ import annotations

import csv
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from nexus.errors import NexusError, invalid, not_found
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.lake.quality import QUARANTINE, SOURCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CORRECTIONS, REPLAYS = "quarantine_nexus__corrections", "quarantine_nexus__replays"
HEADER = ("row_key", "field", "value")
MAX_CORRECTIONS = 100_000
_SHOWN = 5
_FILE_NAMES = {"userId": "user_ref", "movieId": "content_ref", "timestamp": "rated_at"}
"""Names in files of MovieLens -> columns of the raw table."""
_FIXED = frozenset(
    {"load_id", "source", "file_name", "stream_id", "raw_text", "problem", "problem_field", "issuer", "title_issuer"}
)
"""Where a row came from and how it was read: not to be corrected."""


@dataclass(frozen=True, slots=True)
class Group:
    """Refused rows of one source with one reason."""

    source: str
    field: str
    reason: str
    rows: int
    samples: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """What one column of one refused row should have said."""

    row_key: str
    field: str
    value: str | None
    position: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What judging again came to."""

    replay_id: str
    considered: int
    passed: int
    kept: int
    passed_keys: tuple[str, ...]


def groups(lake: Lake, *, source: str | None = None, samples: int = 3) -> list[Group]:
    """Refused rows by source, field and reason, most frequent first, each with some of them."""
    rows = refused(lake, source)
    counted = rows.group_by("source", "field", "reason").agg(
        pl.len().alias("rows"),
        pl.struct("row_key", "value", "raw_text").sort_by("row_key").head(samples).alias("samples"),
    )
    ordered = counted.sort(["rows", "source", "field", "reason"], descending=[True, False, False, False])
    return [Group(**(row | {"samples": tuple(row["samples"])})) for row in ordered.iter_rows(named=True)]


def refused(lake: Lake, source: str | None = None) -> pl.DataFrame:
    """Every refused row, of one source or of all.

    Raises:
        NexusError: ``invalid`` for a source that does not exist; ``not_found`` before the first run.
    """
    if source is not None and source not in SOURCES:
        raise invalid("no such source", field="source", value=source, remedy=f"one of: {', '.join(SOURCES)}")
    rows = pl.DataFrame(lake.read(QUARANTINE))
    return rows if source is None else rows.filter(pl.col("source") == source)


def row(lake: Lake, row_key: str) -> dict[str, Any]:
    """One refused row, with its corrections.

    Raises:
        NexusError: ``not_found``.
    """
    found = refused(lake).filter(pl.col("row_key") == row_key)
    if found.is_empty():
        raise not_found(
            "no such row in quarantine", field="row_key", value=row_key, remedy="see bin/nexus quarantine list"
        )
    given = _corrections(lake).filter(pl.col("row_key") == row_key).sort("corrected_at", "position")
    return found.row(0, named=True) | {"corrections": given.drop("row_key").to_dicts()}


def read_corrections(lake: Lake, path: Path) -> tuple[str, list[Correction]]:
    """A file of corrections (``row_key,field,value``), checked; its id is the same for the same content.

    Raises:
        NexusError: ``invalid``; all that is wrong with the file, by line.
    """
    try:
        content = path.read_bytes()
        lines = list(csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True, restkey="_", restval=""))
    except OSError as error:
        raise invalid(
            "the corrections can't be read", field="with", value=path, remedy=f"name a file ({error.strerror})"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise invalid(
            "the corrections are no CSV in UTF-8", field="with", value=path, remedy=str(error)[:200]
        ) from None
    if not lines or any(name not in lines[0] for name in HEADER) or len(lines) > MAX_CORRECTIONS:
        raise invalid(
            f"the corrections need the columns {', '.join(HEADER)} and 1 to {MAX_CORRECTIONS} lines",
            field="with",
            value=", ".join(map(str, lines[0])) if lines else path,
            remedy="see docs/how-to/quarantine.md",
        )
    keys = set(refused(lake)["row_key"]) | set(_corrections(lake)["row_key"])
    found, problems = [], []
    for number, line in enumerate(lines, start=2):
        try:
            found.append(_checked(lake, line, number, keys))
        except NexusError as error:
            problems.append({"line": number, "field": error.field, "reason": error.message})
    if problems:
        words = "; ".join(f"line {one['line']}: {one['reason']}" for one in problems[:_SHOWN])
        raise NexusError(
            f"{len(problems)} corrections are wrong: {words}",
            field="with",
            value=path.name,
            remedy="mend them; nothing was recorded",
            problems=problems[:100],
        )
    return hashlib.sha256(content).hexdigest()[:16], found


def _checked(lake: Lake, line: Mapping[str, str], number: int, keys: set[str]) -> Correction:
    key, name = line["row_key"].strip(), line["field"].strip()
    if key not in keys:
        raise invalid("no such row in quarantine", field="row_key", value=key, remedy="")
    source = _source_of(key)
    table = declared(SOURCES[source])
    column = _FILE_NAMES.get(name, name)
    value = line["value"] or None
    if "body" in table.schema.names:
        if name != "body":
            column, value = "body", _patched(lake, table.name, key, name, value)
        return Correction(key, column, value, number)
    allowed = [item.name for item in table.schema if pa.types.is_string(item.type) and item.name not in _FIXED]
    if column not in allowed:
        raise invalid(f"{name} is none of {', '.join(allowed)}", field="field", value=name, remedy="")
    return Correction(key, column, value, number)


def _patched(lake: Lake, table: str, key: str, name: str, value: str | None) -> str:
    """An entry's JSON with one member set; numbers stay numbers."""
    stream_id = key.partition(":")[2]
    rows = lake.scan(table).filter(pl.col("stream_id") == stream_id).select("body").collect()
    given = _corrections(lake).filter((pl.col("row_key") == key) & (pl.col("field") == "body"))
    text = given.sort("corrected_at")["value"][-1] if given.height else rows["body"][0] if rows.height else ""
    try:
        body = json.loads(text)
        body[name] = None if value is None else _as_json(value)
    except (ValueError, TypeError):
        raise invalid("the entry is no JSON object: correct its body", field="field", value=name, remedy="") from None
    return json.dumps(body)


def _as_json(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value


def record_corrections(lake: Lake, correction_id: str, given: list[Correction], *, by: str) -> int:
    """Append corrections, once; returns how many are new."""
    now = datetime.now(UTC)
    newest = {(one.row_key, one.field): one for one in given}
    rows = [
        {
            "row_key": one.row_key, "field": one.field, "value": one.value, "correction_id": correction_id,
            "position": one.position, "corrected_by": by, "corrected_at": now,
        }
        for one in newest.values()
    ]  # fmt: skip
    frame = pa.Table.from_pylist(rows, schema=declared(CORRECTIONS).schema)
    return lake.write(CORRECTIONS, frame, mode="append", key=(f"corrections:{correction_id}", 1)).rows


def record_replay(
    lake: Lake, before: set[str], after: set[str], *, source: str | None, correction_id: str | None, by: str
) -> Replay:
    """Write down what became of the rows that were refused before."""
    passed = sorted(before - after)
    done = Replay(str(uuid.uuid4()), len(before), len(passed), len(before) - len(passed), tuple(passed))
    fact = {
        "replay_id": done.replay_id, "source": source or "", "correction_id": correction_id, "requested_by": by,
        "requested_at": datetime.now(UTC), "considered": done.considered, "passed": done.passed, "kept": done.kept,
    }  # fmt: skip
    lake.write(REPLAYS, pa.Table.from_pylist([fact], schema=declared(REPLAYS).schema), mode="append")
    return done


def version(lake: Lake, table: str) -> int | None:
    """Version of the corrections that matter for a raw table; None when there is none."""
    given = _corrections(lake)
    if given.is_empty() or not any(SOURCES[_source_of(key)] == table for key in given["row_key"].unique()):
        return None
    return lake.version(CORRECTIONS)


def corrected(lake: Lake, table: str, frame: DataFrame) -> DataFrame:
    """A raw table with its corrections laid over; what was wrong with the reading of a corrected row is forgiven."""
    names = [source for source, raw in SOURCES.items() if raw == table]
    given = _newest(_corrections(lake), names[0]) if names else pl.DataFrame()
    if given.is_empty():
        return frame
    from pyspark.sql import functions as F  # noqa: N812

    fields = [name for name in given["field"].unique().sort() if name in frame.columns]
    wide = given.group_by("row_key").agg(
        *(pl.col("value").filter(pl.col("field") == name).first().alias(f"given_{name}") for name in fields),
        *((pl.col("field") == name).any().alias(f"has_{name}") for name in fields),
    )
    overlay = lake.spark().createDataFrame(wide.to_arrow().cast(_plain_schema(wide)))
    parts = ("stream_id",) if "stream_id" in frame.columns else ("load_id", "file_name", "line_number")
    key = F.concat_ws(":", F.lit(names[0]), *(F.col(part).cast("string") for part in parts))
    joined = frame.withColumn("row_key", key).join(F.broadcast(overlay), "row_key", "left")
    is_given = {name: F.coalesce(F.col(f"has_{name}"), F.lit(False)) for name in fields}
    chosen = {name: F.when(is_given[name], F.col(f"given_{name}")).otherwise(F.col(name)) for name in fields}
    if "problem" in frame.columns:
        is_corrected = F.coalesce(*(F.col(f"has_{name}") for name in fields)).isNotNull()
        chosen |= {name: F.when(~is_corrected, F.col(name)) for name in ("problem", "problem_field")}
    return joined.withColumns(chosen).select(*frame.columns)


def _plain_schema(wide: pl.DataFrame) -> pa.Schema:
    return pa.schema([(name, pa.bool_() if kind == pl.Boolean else pa.string()) for name, kind in wide.schema.items()])


def _newest(given: pl.DataFrame, source: str) -> pl.DataFrame:
    mine = given.filter(pl.col("row_key").str.starts_with(f"{source}:"))
    return mine.sort("corrected_at", "position").unique(["row_key", "field"], keep="last", maintain_order=True)


def _corrections(lake: Lake) -> pl.DataFrame:
    if not lake.exists(CORRECTIONS):
        return pl.DataFrame(declared(CORRECTIONS).schema.empty_table())
    return pl.DataFrame(lake.read(CORRECTIONS))


def _source_of(row_key: str) -> str:
    return row_key.partition(":")[0]


def describe(done: Replay) -> Iterator[str]:
    """The replay in words, for people."""
    yield f"{done.considered:,} rows were in quarantine: {done.passed:,} pass now, {done.kept:,} are kept"
    yield from (f"  passed: {key}" for key in done.passed_keys[:_SHOWN])
    if done.passed > _SHOWN:
        yield f"  and {done.passed - _SHOWN:,} more"
