"""What viewers did, as Postgres keeps it: stored once per event, read newest first.

Belongs here: reading and writing nexus_ai.user_interactions. Does not belong here: the history in Redis, the lake.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import orjson
import polars as pl
import psycopg

from nexus.db.bulk import BulkResult, Frame, as_polars, stage
from nexus.events import Event, EventType, HistoryEntry

_NAMESPACE: Final = uuid.UUID("0b0d4a8a-8d1f-4b5e-9d53-6c1d6f1b7a03")
_HIDES: Final = frozenset({EventType.HIDE, EventType.UNHIDE})

# The key of a partitioned table has to hold the partition column, so "once per event" is promised by interaction_keys.
_INSERT = """
with offered as (
  select * from json_to_recordset(%s::json) as n (id uuid, event_id text, user_id uuid, content_id uuid, kind text,
    value float8, occurred_at timestamptz, received_at timestamptz)
), fresh as (
  insert into nexus_ai.interaction_keys (id) select id from offered order by id on conflict do nothing returning id
)
insert into nexus_ai.user_interactions
  (id, event_id, user_id, content_id, interaction_type, interaction_value, occurred_at, received_at, source)
select o.*, 'api' from offered o join fresh using (id)
"""

_MERGE = """
with fresh as (
  insert into nexus_ai.interaction_keys (id)
  select s.id from staged_interactions s
  join nexus_core.users u on u.id = s.user_id join nexus_core.content c on c.id = s.content_id
  order by s.id on conflict do nothing returning id
)
insert into nexus_ai.user_interactions
  (id, event_id, user_id, content_id, interaction_type, interaction_value, occurred_at, source)
select s.id, s.event_id, s.user_id, s.content_id, s.interaction_type, s.value, s.occurred_at, s.source
from staged_interactions s join fresh using (id)
order by s.occurred_at, s.event_id
"""

_HIDE = """
insert into nexus_ai.hidden_titles as h (user_id, content_id, is_hidden, changed_at)
select distinct on (user_id, content_id) user_id, content_id, kind = 'hide', occurred_at
from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::text[])
  as n (user_id, content_id, kind, occurred_at, event_id)
where exists (select from nexus_core.users u where u.id = n.user_id)
  and exists (select from nexus_core.content c where c.id = n.content_id)
order by user_id, content_id, occurred_at desc, event_id desc
on conflict (user_id, content_id) do update set is_hidden = excluded.is_hidden, changed_at = excluded.changed_at
where h.changed_at < excluded.changed_at
"""

_UNKNOWN = """
select count(*) from staged_interactions s
where not exists (select from nexus_core.users u where u.id = s.user_id)
   or not exists (select from nexus_core.content c where c.id = s.content_id)
"""


def interaction_id(event_id: str) -> uuid.UUID:
    """The id under which an event is stored."""
    return uuid.uuid5(_NAMESPACE, event_id)


async def insert_interactions(connection: psycopg.AsyncConnection, events: Sequence[Event]) -> int:
    """Store events; those stored before are left alone. The viewers have to exist (nexus.db.users.ensure_users).

    Returns:
        How many were new.
    """
    fresh = {event.event_id: event for event in reversed(events)}
    rows = [
        {
            "id": interaction_id(event.event_id),
            "event_id": event.event_id,
            "user_id": event.user_id,
            "content_id": event.content_id,
            "kind": event.type,
            "value": event.value,
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
        }
        for event in fresh.values()
    ]
    if not rows:
        return 0
    visibility = [
        (e.user_id, e.content_id, str(e.type), e.occurred_at, e.event_id) for e in fresh.values() if e.type in _HIDES
    ]
    async with connection.transaction():
        # One JSON text: writing the same rows as nine arrays took twice the time of everything else here together.
        cursor = await connection.execute(_INSERT, (orjson.dumps(rows).decode(),))
        if visibility:
            await connection.execute(_HIDE, _columns(visibility))
    return cursor.rowcount


async def history(connection: psycopg.AsyncConnection, user_id: uuid.UUID, limit: int) -> list[HistoryEntry]:
    """What a viewer did, newest first."""
    cursor = await connection.execute(
        "select event_id, interaction_type, content_id, interaction_value,"
        " floor(extract(epoch from occurred_at) * 1000)::bigint from nexus_ai.user_interactions"
        " where user_id = %s order by occurred_at desc, event_id desc limit %s",
        (user_id, limit),
    )
    return [
        HistoryEntry(event_id=event_id, type=EventType(kind), content_id=content_id, value=value, at_ms=at_ms)
        async for event_id, kind, content_id, value, at_ms in cursor
    ]


async def hidden(connection: psycopg.AsyncConnection, user_id: uuid.UUID) -> set[uuid.UUID]:
    """The titles that a viewer hid and did not show again."""
    cursor = await connection.execute(
        "select content_id from nexus_ai.hidden_titles where user_id = %s and is_hidden", (user_id,)
    )
    return {content_id async for (content_id,) in cursor}


def copy_interactions(connection: psycopg.Connection, frame: Frame) -> BulkResult:
    """Merge interactions in the shape of marts_nexus__interactions (any type of event); nothing is removed or changed.

    Viewers and titles have to be there; rows of unknown ones are skipped and counted.
    """
    rows = as_polars(frame)
    if rows.is_empty():
        return BulkResult(rows=0, written=0)
    staged = rows.with_columns(
        pl.Series("id", [str(interaction_id(event_id)) for event_id in rows["event_id"]], dtype=pl.String)
    )
    columns = {
        "id": "uuid",
        "event_id": "text",
        "user_id": "uuid",
        "content_id": "uuid",
        "interaction_type": "text",
        "value": "double precision",
        "occurred_at": "timestamptz",
        "source": "text",
    }
    visibility = rows.filter(pl.col("interaction_type").is_in([str(kind) for kind in _HIDES])).select(
        "user_id", "content_id", "interaction_type", "occurred_at", "event_id"
    )
    span = (rows["occurred_at"].min(), rows["occurred_at"].max())
    with connection.transaction():
        connection.execute("select nexus_ai.ensure_interaction_partitions(%s, %s)", span)
        connection.execute("select nexus_ai.ensure_interaction_partitions(now(), now() + interval '12 months')")
        stage(connection, "staged_interactions", columns, staged)
        skipped = connection.execute(_UNKNOWN).fetchone()
        written = connection.execute(_MERGE).rowcount
        if not visibility.is_empty():
            connection.execute(_HIDE, _columns(visibility.rows()))
    return BulkResult(rows=rows.height, written=written, skipped=skipped[0] if skipped else 0)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
