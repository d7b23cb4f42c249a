"""From a Redis stream into a table, exactly once, whoever is killed in between.

The table's own ledger is the position: the append and the new position are one Delta commit, and the stream is
trimmed only up to a position that is committed. A drain that dies between commit and trim leaves entries that the
next one skips, because it starts behind the position.

Ids are times, so a position means something only within one life of the stream: after Redis was wiped, or fell back to an
older append-only file, ids begin anew, and on a machine whose clock went back they begin before the position. Each life
has a name that is lost with the stream, and its own position; entries of a new life that the table has are left out.

Belongs here: moving entries. Does not belong here: what is in them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from nexus import telemetry
from nexus.errors import Category, NexusError
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake

BATCH = 10_000
_SEQUENCE_BITS = 20
_TRIES = 10
Row = dict[str, Any]
# Of two drains that begin a new life at once, one names it.
_REPLACE = """
if (redis.call('GET', KEYS[1]) or '') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])
"""


class Stream(Protocol):
    """The commands of a Redis client that a drain needs."""

    def xrange(self, name: str, min: str, max: str, count: int) -> Any:  # noqa: A002 redis-py's own names
        """Entries between two ids."""
        ...

    def xtrim(self, name: str, *, approximate: bool, minid: str) -> Any:
        """Remove entries before an id."""
        ...

    def exists(self, *names: str) -> Any:
        """How many of the keys are there."""
        ...

    def xinfo_groups(self, name: str) -> Any:
        """The stream's consumer groups."""
        ...

    def xpending(self, name: str, groupname: Any) -> Any:
        """What a group was given and has not acknowledged."""
        ...

    def xinfo_stream(self, name: str) -> Any:
        """Facts of a stream, the last id that it gave among them."""
        ...

    def get(self, name: str) -> Any:
        """A value."""
        ...

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script."""
        ...


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did: entries appended, and the table's version."""

    rows: int
    version: int | None


def position_of(stream_id: str) -> int:
    """A stream id as one growing number that fits the ledger's 64 bits."""
    ms, _, sequence = stream_id.partition("-")
    if int(sequence) >> _SEQUENCE_BITS:
        raise NexusError(
            "a stream id has too large a sequence number",
            category=Category.INTERNAL,
            field="stream_id",
            value=stream_id,
            remedy="report this",
        )
    return int(ms) << _SEQUENCE_BITS | int(sequence)


def stream_id_of(position: int) -> str:
    """The opposite of :func:`position_of`."""
    return f"{position >> _SEQUENCE_BITS}-{position & ((1 << _SEQUENCE_BITS) - 1)}"


def drain(
    lake: Lake,
    client: Stream,
    *,
    stream: str,
    field: str,
    table: str,
    batch: int = BATCH,
    columns: Callable[[str], Row] | None = None,
) -> Drained:
    """Append what is behind the position, then trim what is committed, until the stream is empty.

    Args:
        lake: Where the table is.
        client: A Redis client.
        stream: Key of the stream.
        field: Field of an entry that holds the body.
        table: A raw table with ``stream_id``, ``body``, ``drained_at`` and perhaps ``day``.
        batch: Entries per commit.
        columns: Further columns of the table, from the body; it takes any body and never raises.
    """
    life = _life(lake, client, stream, table)
    app = life.app
    rows = 0
    conflicts = 0
    while True:
        position = lake.last_key(table, app) or 0
        _trim(client, stream, position)
        entries = client.xrange(stream, min=f"({stream_id_of(position)}", max="+", count=batch)
        if not entries:
            if not lake.exists(table):
                lake.write(table, _frame(table, []), mode="append")
            return Drained(rows, lake.version(table))
        found = [_row(stream_id, values, field, columns) for stream_id, values in entries]
        newest = position_of(found[-1]["stream_id"])
        if position < life.ceiling:
            found = _unknown(lake, table, found)
        try:
            with telemetry.span("drain", links=_traces(entries), table=table, rows=len(found)):
                rows += lake.write(table, _frame(table, found), mode="append", key=(app, newest), follows=position).rows
        except NexusError as error:
            conflicts += 1
            if error.category is not Category.CONFLICT or error.field != "follows" or conflicts == _TRIES:
                raise
            continue


def waiting(lake: Lake, client: Stream, *, stream: str, table: str, at_most: int) -> int:
    """Entries that the next drain would append, counted up to a limit; changes nothing."""
    life = _present(lake, client, stream, table, _text(client.get(_life_key(stream)) or b""))
    position = (lake.last_key(table, life.app) or 0) if life is not None else 0
    return len(client.xrange(stream, min=f"({stream_id_of(position)}", max="+", count=at_most))


@dataclass(frozen=True, slots=True)
class _Life:
    """One life of a stream; ``ceiling``: the largest position that the table had when it began."""

    name: str
    stream: str
    ceiling: int

    @property
    def app(self) -> str:
        return f"drain:{self.stream}:{self.name}"


def _life(lake: Lake, client: Stream, stream: str, table: str) -> _Life:
    """The life that the stream is in; a new one when its name is lost, or its ids fell behind what was drained of it."""
    said = _text(client.get(_life_key(stream)) or b"")
    known = _present(lake, client, stream, table, said)
    if known is not None:
        return known
    fresh = f"{uuid.uuid4().hex} {_ceiling(lake, table)}"
    return _read_life(_text(client.eval(_REPLACE, 1, _life_key(stream), said, fresh)), stream)


def _present(lake: Lake, client: Stream, stream: str, table: str, said: str) -> _Life | None:
    """The life of that name, while the stream is still in it."""
    if not said:
        return None
    known = _read_life(said, stream)
    last = position_of(_text(client.xinfo_stream(stream)["last-generated-id"])) if client.exists(stream) else 0
    return known if (lake.last_key(table, known.app) or 0) <= last else None


def _life_key(stream: str) -> str:
    return f"nexus:life:{stream}"


def _read_life(said: str, stream: str) -> _Life:
    name, _, ceiling = said.partition(" ")
    return _Life(name, stream, int(ceiling))


def _ceiling(lake: Lake, table: str) -> int:
    """The largest position in the table."""
    if not lake.exists(table):
        return 0
    ids = lake.scan(table).select("stream_id").collect()["stream_id"]
    return max(map(position_of, ids), default=0)


def _unknown(lake: Lake, table: str, found: Sequence[Row]) -> list[Row]:
    """Entries that the table does not have, word for word."""
    if not lake.exists(table):
        return list(found)
    names = [row["stream_id"] for row in found]
    there = lake.scan(table).filter(pl.col("stream_id").is_in(names)).select("stream_id", "body").collect()
    known = set(there.iter_rows())
    return [row for row in found if (row["stream_id"], row["body"]) not in known]


def _trim(client: Stream, stream: str, position: int) -> None:
    """Remove what is committed and what every consumer group (such as the copy into Postgres) is done with."""
    if not position:
        return
    for group in client.xinfo_groups(stream) if client.exists(stream) else ():
        pending = client.xpending(stream, group["name"])["min"]
        done = position_of(_text(pending)) - 1 if pending else position_of(_text(group["last-delivered-id"]))
        position = min(position, done)
    client.xtrim(stream, approximate=False, minid=stream_id_of(position + 1))


def _traces(entries: Sequence[tuple[Any, dict[Any, Any]]]) -> list[str]:
    """The traces in which entries came, of those that are kept."""
    name = telemetry.STREAM_FIELD
    found = {values.get(name) or values.get(name.encode()) for _, values in entries if values}
    return sorted(_text(trace) for trace in found if trace)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _row(
    stream_id: bytes | str, values: dict[Any, Any], field: str, columns: Callable[[str], Row] | None = None
) -> Row:
    name = _text(stream_id)
    found = values.get(field, values.get(field.encode()))
    body = "" if found is None else _text(found)
    received = datetime.fromtimestamp(int(name.partition("-")[0]) / 1000, UTC)
    return {**(columns(body) if columns else {}), "stream_id": name, "body": body, "day": received.date()}


def _frame(table: str, rows: Sequence[Row]) -> pa.Table:
    now = datetime.now(UTC)
    return pa.Table.from_pylist([row | {"drained_at": now} for row in rows], schema=declared(table).schema)
