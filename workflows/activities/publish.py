"""The activity that tells the house about a title: one event in the Redis stream, one message to serving.

The event goes out once for each run of an operation, however often the activity is delivered; the message is only
a hint to look again, so a repeated one does no harm. Does not belong here: what listeners do with it.
"""

from __future__ import annotations

import orjson
import redis.asyncio
from temporalio import activity

from nexus.events import CONTENT_STREAM, DEDUPLICATION_TTL_S
from nexus.temporal_names import CONTENT_CHANNEL
from workflows.activities import names
from workflows.activities.edge import translated
from workflows.messages import ContentEvent, Published

KEPT_EVENTS = 100_000

# KEYS: mark of the event, stream. ARGV: seconds the mark lives, body, length of the stream, channel, content id.
_SCRIPT = """
local fresh = redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1])
if fresh then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'content', ARGV[2])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return fresh and 1 or 0
"""


class PublishActivities:
    """Speaks to the stream and to serving."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client

    @activity.defn(name=names.PUBLISH_CONTENT)
    @translated
    async def publish(self, event: ContentEvent) -> Published:
        """Append the event unless this run has done so, and tell serving to look."""
        mark = f"nexus:content-event:{event.operation_id}:{event.run_id}:{event.state}"
        body = orjson.dumps(event.model_dump(mode="json"))
        answer = await self._redis.eval(  # type: ignore[misc]
            _SCRIPT,
            2,
            mark,
            CONTENT_STREAM,
            str(DEDUPLICATION_TTL_S),
            body,
            str(KEPT_EVENTS),
            CONTENT_CHANNEL,
            str(event.content_id),
        )
        return Published(is_new=bool(answer))
