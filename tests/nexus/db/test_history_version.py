"""Whoever changes a history in Redis gives it a version that was never used before."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis

from nexus.db import content, interactions, users
from nexus.db.pool import connect
from nexus.db.redis_history import fill
from nexus.events import ACCEPT_SCRIPT, accept_arguments, hidden_key, restored_key
from tests.nexus.db.test_facts import NOW, USER_ID, VIEWER, event, record

pytestmark = pytest.mark.integration


async def test_version__filled_then_accepted_then_filled__is_another_each_time(api, worker, empty):
    title, hidden = record("1"), record("2")
    for one in (title, hidden):
        await content.upsert_content(worker, one)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    later = event("e2", hidden, "hide", NOW + timedelta(minutes=1))
    await interactions.insert_interactions(api, [event("e1", title), later])
    seen = set()
    with redis.Redis.from_url(empty.redis.dsn()) as client, connect(empty, "pipeline") as connection:
        script = client.register_script(ACCEPT_SCRIPT)
        assert script(args=accept_arguments([event("e0", title)])) == [0]
        assert client.get(restored_key(USER_ID)) is None  # not complete, so it has no version
        for number in range(3):
            fill(connection, client)
            assert client.smembers(hidden_key(USER_ID)) == {str(hidden.content_id).encode()}
            seen.add(client.get(restored_key(USER_ID)))
            assert script(args=accept_arguments([event(f"f{number}", title), event(f"f{number}", title)])) == [0]
            seen.add(client.get(restored_key(USER_ID)))
            assert script(args=accept_arguments([event(f"f{number}", title)])) == []
            seen.add(client.get(restored_key(USER_ID)))
    assert len(seen) == 6
