"""The activity that tells the house about a title: one event in the Redis stream, one message to serving.

The event is the title as Postgres has it now (the fields of ContentRecord, which raw_nexus__titles takes into the
lake) and, under ``operation``, what the operation found out. It goes out once for each run of an operation, however
often the activity is delivered. The message is a hint to look again, so a repeated one does no harm.
Does not belong here: what listeners do with it; trimming the stream (the drain does, after its commit).
"""

from __future__ import annotations

import orjson
import redis.asyncio
from temporalio import activity

from nexus import telemetry
from nexus.db.content import find_content
from nexus.db.pool import AsyncPool, acquire
from nexus.errors import not_found
from nexus.events import CONTENT_STREAM, DEDUPLICATION_TTL_S
from nexus.temporal_names import CONTENT_CHANNEL
from workflows.activities import names
from workflows.activities.edge import translated
from workflows.messages import ContentEvent, Published

# KEYS: mark of the event, stream. ARGV: seconds the mark lives, body, channel, content id, traceparent or nothing.
_SCRIPT = """
local fresh = redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1])
if fresh then
  if ARGV[5] == '' then
    redis.call('XADD', KEYS[2], '*', 'content', ARGV[2])
  else
    redis.call('XADD', KEYS[2], '*', 'content', ARGV[2], 'traceparent', ARGV[5])
  end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return fresh and 1 or 0
"""


class PublishActivities:
    """Speaks to the stream and to serving."""

    def __init__(self, pool: AsyncPool, client: redis.asyncio.Redis) -> None:
        self._pool = pool
        self._append = client.register_script(_SCRIPT)

    @activity.defn(name=names.PUBLISH_CONTENT)
    @translated
    async def publish(self, event: ContentEvent) -> Published:
        """Append the event unless this run has done so, and tell serving to look."""
        async with acquire(self._pool) as connection:
            record = await find_content(connection, event.content_id)
        if record is None:
            raise not_found(
                "the title is gone from the database",
                field="content_id",
                value=event.content_id,
                remedy="send the title again",
            )
        operation = event.model_dump(mode="json", exclude={"content_id"})
        body = orjson.dumps(record.model_dump(mode="json") | {"operation": operation})
        mark = f"nexus:content-event:{event.operation_id}:{event.run_id}:{event.state}"
        answer = await self._append(
            keys=[mark, CONTENT_STREAM],
            args=[
                DEDUPLICATION_TTL_S,
                body,
                CONTENT_CHANNEL,
                str(event.content_id),
                telemetry.sampled_traceparent() or "",
            ],
        )
        return Published(is_new=bool(answer))
