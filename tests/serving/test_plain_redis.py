"""One question over one connection: the right answer to each, after a late one and after a restart as well."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from serving.plain_redis import PlainRedis
from tests.serving.test_redis_killed import Server, mortal  # noqa: F401 (a fixture)

pytestmark = pytest.mark.integration


async def _told(server: Server, **values: str) -> PlainRedis:
    async with aioredis.Redis.from_url(server.url) as client:
        await client.mset(values)
    return PlainRedis(aioredis.ConnectionPool.from_url(server.url, socket_timeout=None))


async def test_mget__known_and_unknown_keys__values_in_order(mortal: Server) -> None:  # noqa: F811
    plain = await _told(mortal, a="1", b="2")
    assert await plain.mget(["b", "none", "a"]) == [b"2", None, b"1"]
    await plain.close()


async def test_mget__answer_given_up_on__is_never_read_as_the_next_one(mortal: Server) -> None:  # noqa: F811
    plain = await _told(mortal, a="1", b="2")
    assert await plain.mget(["a"]) == [b"1"]
    async with aioredis.Redis.from_url(mortal.url) as other:
        await other.client_pause(300)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await plain.mget(["a"])
        assert await plain.mget(["b"]) == [b"2"]
    await plain.close()


async def test_mget__server_killed_and_back__fails_meanwhile_then_answers(mortal: Server) -> None:  # noqa: F811
    plain = await _told(mortal, a="1")
    assert await plain.mget(["a"]) == [b"1"]
    mortal.kill()
    with pytest.raises((RedisError, OSError)):
        await plain.mget(["a"])
    await asyncio.to_thread(mortal.start)
    assert await plain.mget(["a"]) in ([b"1"], [None])
    await plain.close()
