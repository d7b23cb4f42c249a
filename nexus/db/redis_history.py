"""Fills Redis with every viewer's history and hidden titles, from Postgres.

Belongs here: the bulk way. Does not belong here: accepting single events (nexus.events), reading (serving).
Nothing is wiped: entries are added (equal entries are equal bytes, so twice is once), and what was hidden is worked
out anew, inside Redis, from the merged history, so that an event accepted meanwhile counts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson
import psycopg
import redis

from nexus.events import hidden_key, history_key, new_version, restored_key

_BATCH: Final = 10_000
_ENTRIES: Final = """
select user_id::text, event_id, interaction_type, content_id::text, interaction_value,
  floor(extract(epoch from occurred_at) * 1000)::bigint
from nexus_ai.user_interactions order by user_id
"""
_HIDERS: Final = "select distinct user_id::text from nexus_ai.hidden_titles"
_HIDE_AGAIN: Final = """
local hidden = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local entry = cjson.decode(member)
  if entry['type'] == 'hide' then hidden[entry['content_id']] = true end
  if entry['type'] == 'unhide' then hidden[entry['content_id']] = nil end
end
redis.call('DEL', KEYS[2])
for content_id, _ in pairs(hidden) do redis.call('SADD', KEYS[2], content_id) end
redis.call('SET', KEYS[3], ARGV[1], 'XX')
return redis.call('SCARD', KEYS[2])
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was offered to Redis, and how much of it was new there."""

    viewers: int
    entries: int
    new_entries: int
    hidden: int


def entry_member(event_id: str, kind: str, content_id: str, value: float | None, at_ms: int) -> bytes:
    """The same bytes as :meth:`nexus.events.HistoryEntry.member`, without building the model 100,000 times."""
    entry = {"at_ms": at_ms, "content_id": content_id, "event_id": event_id, "type": kind, "value": value}
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


def fill(connection: psycopg.Connection, client: redis.Redis) -> Filled:
    """Make Redis hold at least what Postgres holds.

    Args:
        connection: As nexus_pipeline.
        client: Of the Redis that serves.
    """
    viewers = entries = added = waiting = 0
    pipeline = client.pipeline(transaction=False)
    for user_id, history in _histories(connection):
        pipeline.zadd(history_key(user_id), history)
        pipeline.set(restored_key(user_id), new_version())
        viewers, entries, waiting = viewers + 1, entries + len(history), waiting + len(history)
        if waiting >= _BATCH:
            added, waiting = added + _sent(pipeline), 0
    added += _sent(pipeline)
    return Filled(viewers, entries, added, _hide_again(connection, client))


def _histories(connection: psycopg.Connection) -> Iterator[tuple[str, dict[bytes, int]]]:
    with connection.transaction(), connection.cursor(name="histories") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(_ENTRIES)
        for user_id, rows in groupby(cursor, key=itemgetter(0)):
            yield user_id, {entry_member(*row[1:]): row[5] for row in rows}


def _sent(pipeline: Any) -> int:
    return sum(reply for reply in pipeline.execute() if type(reply) is int)


def _hide_again(connection: psycopg.Connection, client: redis.Redis) -> int:
    script = client.register_script(_HIDE_AGAIN)
    hidden = 0
    for (user_id,) in connection.execute(_HIDERS):
        keys = [history_key(user_id), hidden_key(user_id), restored_key(user_id)]
        hidden += int(script(keys=keys, args=[new_version()]))
    return hidden
