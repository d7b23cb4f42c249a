"""The activity that tells the house about a new token: one entry in a Redis stream, one message to whoever listens.

It goes out once for a token, however often it is delivered. Does not belong here: what listeners do with it.
"""

from __future__ import annotations

import orjson
import redis.asyncio
from temporalio import activity

from nexus.events import DEDUPLICATION_TTL_S
from nexus.temporal_names import CONTENT_CHANNEL, MINTED_CHANNEL, MINTED_STREAM
from workflows.activities import names
from workflows.activities.edge import translated
from workflows.messages import Published
from workflows.web3_messages import TokenEvent

_LONGEST = 10_000
# KEYS: mark of the event, stream. ARGV: seconds the mark lives, body, its channel, the content's channel, content id,
# entries that the stream keeps.
_SCRIPT = """
local fresh = redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1])
if fresh then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'token', ARGV[2])
  redis.call('PUBLISH', ARGV[3], ARGV[2])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return fresh and 1 or 0
"""


class TokenActivities:
    """Speaks to the stream and to listeners."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._append = client.register_script(_SCRIPT)

    @activity.defn(name=names.PUBLISH_TOKEN)
    @translated
    async def publish(self, event: TokenEvent) -> Published:
        """Append the event unless that was done, and tell listeners to look."""
        result = event.result
        body = orjson.dumps(
            {"content_id": str(event.content_id), "operation_id": event.operation_id} | result.model_dump(mode="json")
        )
        answer = await self._append(
            keys=[f"nexus:token-event:{result.chain_id}:{result.contract}:{result.token_id}", MINTED_STREAM],
            args=[DEDUPLICATION_TTL_S, body, MINTED_CHANNEL, CONTENT_CHANNEL, str(event.content_id), _LONGEST],
        )
        return Published(is_new=bool(answer))
