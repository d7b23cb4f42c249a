"""Where a viewer is read from when stores are away."""

from __future__ import annotations

from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from nexus.errors import NexusError
from nexus.ids import Reference, internal
from serving.parts import Part
from serving.viewers import store
from serving.viewers.memory import Memory
from serving.viewers.viewer import Viewer

pytestmark = pytest.mark.unit
WHO = Reference("srv", "1")
USER = internal("user", WHO)
SEEN = {"event_id": "e", "type": "view", "content_id": str(UUID(int=5)), "value": None, "at_ms": 1}


class AwayRedis:
    def pipeline(self, **_):
        raise ConnectionError


class FlakyDatabase:
    """Answers so many times, then is away."""

    def __init__(self, answers: int) -> None:
        self._answers = answers

    @asynccontextmanager
    async def connection(self, _within_s):
        async with Part("postgres").asking(1.0):
            if self._answers == 0:
                raise OSError
            self._answers -= 1
            yield None


@pytest.mark.parametrize("answers", [0, 1])
async def test_read__stores_go_away_at_any_step__memory_still_knows_what_was_seen(monkeypatch, answers) -> None:
    async def found(_connection, _identifier):
        return USER

    monkeypatch.setattr(store.users, "find_user", found)
    memory = Memory()
    memory.keep(Viewer(USER, [SEEN], frozenset({"h"})))
    viewers = store.Viewers(AwayRedis(), Part("redis"), FlakyDatabase(answers), memory)
    viewer = await viewers.read(WHO)
    assert (viewer.seen(), viewer.hidden, viewer.is_complete) == ({str(UUID(int=5))}, {"h"}, False)


async def test_read__nobody_knows_and_stores_are_away__says_unavailable() -> None:
    viewers = store.Viewers(AwayRedis(), Part("redis"), FlakyDatabase(0), Memory())
    with pytest.raises(NexusError) as caught:
        await viewers.read(WHO)
    assert caught.value.status == 503


async def test_part__one_late_answer__is_forgiven__several_are_not() -> None:
    part = Part("redis")
    for _ in range(3):
        with pytest.raises(NexusError):
            async with part.asking(1.0):
                raise TimeoutError
    with pytest.raises(NexusError, match="does not answer") as caught:
        async with part.asking(1.0):
            pytest.fail("it was asked all the same")
    assert caught.value.evidence["cause"] == "it did not answer a moment ago"


class VersionedRedis:
    """One viewer's history under a version; counts how often the history itself is fetched."""

    def __init__(self) -> None:
        self.version: bytes | None = b"1"
        self.history = [store.member(SEEN)]
        self.fetched = 0

    async def get(self, _key):
        return self.version

    def pipeline(self, **_):
        return FetchingPipeline(self)


class FetchingPipeline:
    def __init__(self, client: VersionedRedis) -> None:
        self._client = client

    def get(self, _key): ...

    def zrevrange(self, *_): ...

    def smembers(self, _key): ...

    def zadd(self, *_): ...

    def sadd(self, *_): ...

    def set(self, _key, value):
        self._client.version = value

    async def execute(self):
        self._client.fetched += 1
        return self._client.version, list(self._client.history), set()


def versioned(memory: Memory | None = None) -> tuple[VersionedRedis, store.Viewers]:
    client = VersionedRedis()
    return client, store.Viewers(client, Part("redis"), FlakyDatabase(0), memory or Memory())


async def test_read__same_version__the_history_is_not_fetched_again() -> None:
    client, viewers = versioned()
    first = await viewers.read(WHO)
    assert await viewers.read(WHO) is first
    assert client.fetched == 1


async def test_read__another_version__the_history_is_fetched_anew() -> None:
    client, viewers = versioned()
    await viewers.read(WHO)
    client.history.insert(0, store.member(SEEN | {"event_id": "f", "content_id": str(UUID(int=6)), "at_ms": 2}))
    client.version = b"2"
    assert (await viewers.read(WHO)).seen() == {str(UUID(int=5)), str(UUID(int=6))}


async def test_read__the_version_is_gone__what_was_read_under_it_is_not_given_out() -> None:
    client, viewers = versioned()
    complete = await viewers.read(WHO)
    client.version, client.history = None, []
    again = await viewers.read(WHO)
    assert again is not complete
    assert (again.seen(), again.is_complete) == (complete.seen(), False)


async def test_read__a_viewer_without_a_version__is_not_taken_for_one_that_was_read() -> None:
    memory = Memory()
    memory.keep(Viewer(USER, [], frozenset()))
    client, viewers = versioned(memory)
    assert (await viewers.read(WHO)).seen() == {str(UUID(int=5))}
    assert client.fetched == 1
