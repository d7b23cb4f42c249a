"""From an event back to the raw row that it came from: mart -> core -> raw.

Belongs here: following keys through declared tables, whatever source they are of; events that are not drained yet are
found in the stream. Does not belong here: which events matter (service, support).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import orjson
import polars as pl
from redis.exceptions import RedisError

from nexus import events
from nexus.lake.catalogue import TABLES
from nexus.lake.lake import Lake
from nexus.settings import Settings
from serving.why.lookup import entries, stream_client

MART: Final = "marts_nexus__interactions"
RAW_EVENTS: Final = "raw_nexus__events"
Row = dict[str, Any]


def trace(settings: Settings, lake: Lake, event_ids: Collection[str]) -> dict[str, list[Row]]:
    """The rows of each event, from the mart down to raw; an event that nobody knows has none."""
    wanted = set(event_ids)
    found: dict[str, list[Row]] = {event_id: [] for event_id in wanted}
    for row in _rows(lake, MART, pl.col("event_id").is_in(list(wanted))):
        found[row["event_id"]].append(_mart(row))
    for name in _core_tables():
        for row in _rows(lake, name, pl.col("event_id").is_in(list(wanted))):
            found[row["event_id"]].append({"table": name, "event_id": row["event_id"], **_keys(row)})
    _add_raw(lake, found)
    missing = {event_id for event_id, rows in found.items() if not any(_is_raw(row) for row in rows)}
    if missing:
        for event_id, row in _waiting(settings, missing):
            found[event_id].append(row)
    return found


def _core_tables() -> list[str]:
    """Core tables with events of viewers, each from a load or from the stream."""
    return [
        name
        for name, table in TABLES.items()
        if table.layer == "core"
        and table.primary_key == ("event_id",)
        and {"load_id", "stream_id"} & set(table.schema.names)
    ]


def _raw_of(core: str) -> str | None:
    raw = "raw" + core.removeprefix("core")
    return raw if raw in TABLES else None


def _mart(row: Row) -> Row:
    kept = ("event_id", "interaction_type", "value", "occurred_at", "source")
    return {"table": MART, **{name: row[name] for name in kept}}


def _keys(row: Row) -> Row:
    return {
        name: row[name] for name in ("load_id", "file_name", "line_number", "stream_id") if row.get(name) is not None
    }


def _is_raw(row: Mapping[str, Any]) -> bool:
    return str(row["table"]).startswith("raw_")


def _rows(lake: Lake, table: str, condition: pl.Expr) -> Iterator[Row]:
    if not lake.exists(table):
        return
    frame = lake.scan(table).filter(condition).collect()
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 (narrows the type)
    yield from frame.iter_rows(named=True)


def _add_raw(lake: Lake, found: dict[str, list[Row]]) -> None:
    """The raw rows that the core rows name, read once per table."""
    for core in _core_tables():
        raw = _raw_of(core)
        named = [(event_id, row) for event_id, rows in found.items() for row in rows if row["table"] == core]
        if raw is None or not named:
            continue
        if "stream_id" in TABLES[raw].schema.names:
            _add_entries(lake, raw, named, found)
        else:
            _add_lines(lake, raw, named, found)


def _add_entries(lake: Lake, raw: str, named: list[tuple[str, Row]], found: dict[str, list[Row]]) -> None:
    by_stream = {row["stream_id"]: event_id for event_id, row in named}
    for row in _rows(lake, raw, pl.col("stream_id").is_in(list(by_stream))):
        event_id = by_stream[row["stream_id"]]
        found[event_id].append(
            {"table": raw, "stream_id": row["stream_id"], "event_id": event_id, "raw_text": row["body"]}
        )


def _add_lines(lake: Lake, raw: str, named: list[tuple[str, Row]], found: dict[str, list[Row]]) -> None:
    by_line = {(row["load_id"], row["line_number"]): (event_id, row.get("file_name")) for event_id, row in named}
    loads, lines = zip(*by_line, strict=True)
    condition = pl.col("load_id").is_in(sorted(set(loads))) & pl.col("line_number").is_in(sorted(set(lines)))
    for row in _rows(lake, raw, condition):
        event_id, file_name = by_line.get((row["load_id"], row["line_number"]), (None, None))
        if event_id is None or file_name not in (None, row.get("file_name")):
            continue
        kept = ("load_id", "file_name", "line_number", "raw_text")
        found[event_id].append({"table": raw, **{name: row[name] for name in kept if name in row}})


def _waiting(settings: Settings, missing: set[str]) -> Iterator[tuple[str, Row]]:
    """Events that the API accepted and nobody drained yet, or whose day is not rebuilt yet."""
    left = set(missing)
    if settings.redis.url is None:
        return
    try:
        with stream_client(settings) as client:
            for fields in entries(client, events.STREAM):
                body = fields.get(b"event", b"")
                event_id = _event_id(body)
                if event_id in left:
                    left.discard(event_id)
                    text = body.decode("utf-8", "replace")
                    yield event_id, {"table": RAW_EVENTS, "event_id": event_id, "raw_text": text, "is_waiting": True}
                if not left:
                    return
    except RedisError:
        return


def _event_id(body: bytes) -> str:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("event_id", "")) if isinstance(found, dict) else ""
