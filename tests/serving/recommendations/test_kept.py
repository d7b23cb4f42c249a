"""Kept answers: never one that says what was true before."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisAway

from nexus.events import restored_key
from serving.parts import Part
from serving.recommendations import kept
from serving.recommendations.kept import OVERHEAD_BYTES, Kept
from serving.recommendations.versions import Versions

pytestmark = pytest.mark.unit
VIEWERS = [UUID(int=number) for number in range(3)]
TITLES = [f"t{number}" for number in range(6)]


class FakeRedis:
    """Versions of viewers; a question takes a turn of the event loop, as over a socket."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.asked: list[list[str]] = []
        self.is_away = False

    async def mget(self, keys: list[str]) -> list[bytes | None]:
        self.asked.append(list(keys))
        await asyncio.sleep(0)
        if self.is_away:
            raise RedisAway
        found = [self.values.get(key) for key in keys]
        await asyncio.sleep(0)
        return found


class Shelf:
    """What a process keeps, over a fake Redis."""

    def __init__(self, redis: FakeRedis, **words: Any) -> None:
        self.library = SimpleNamespace(token=object())
        self.kept = Kept(lambda: self.library, Versions(redis, Part("redis")), **words)

    def put(self, user: UUID, body: bytes = b"{}", version: bytes = b"1", place: str = "") -> None:
        self.kept.put(key(user, place), body, source="popular", user_id=user, version=version, library=self.library)


def key(user: UUID, place: str = "") -> kept.Key:
    return f"/v1/users/{user}/recommendations{place}", b"limit=5"


@pytest.fixture
def redis() -> FakeRedis:
    made = FakeRedis()
    made.values = {restored_key(user): b"1" for user in VIEWERS}
    return made


async def test_find__nothing_changed__is_the_same_answer(redis) -> None:
    shelf = Shelf(redis)
    shelf.put(VIEWERS[0], b"[1]")
    found = await shelf.kept.find(key(VIEWERS[0]))
    assert found is not None
    assert found.body == b"[1]"
    assert await shelf.kept.find(key(VIEWERS[1])) is None


async def test_find__viewer_did_something__is_gone_for_good(redis) -> None:
    shelf = Shelf(redis)
    shelf.put(VIEWERS[0])
    redis.values[restored_key(VIEWERS[0])] = b"2"
    assert await shelf.kept.find(key(VIEWERS[0])) is None
    redis.values[restored_key(VIEWERS[0])] = b"1"
    assert await shelf.kept.find(key(VIEWERS[0])) is None


async def test_find__redis_emptied_or_away__is_made_anew(redis) -> None:
    shelf = Shelf(redis)
    shelf.put(VIEWERS[0])
    redis.is_away = True
    assert await shelf.kept.find(key(VIEWERS[0])) is None
    shelf.put(VIEWERS[1])
    redis.is_away = False
    redis.values.clear()
    assert await shelf.kept.find(key(VIEWERS[1])) is None


async def test_find__library_swapped_while_redis_is_asked__is_made_anew(redis) -> None:
    shelf = Shelf(redis)
    shelf.put(VIEWERS[0])
    asking = asyncio.create_task(shelf.kept.find(key(VIEWERS[0])))
    await asyncio.sleep(0)
    shelf.library = SimpleNamespace(token=object())
    assert await asking is None


async def test_find__older_than_its_time__is_made_anew(redis) -> None:
    shelf = Shelf(redis, for_s=0.0)
    shelf.put(VIEWERS[0])
    assert await shelf.kept.find(key(VIEWERS[0])) is None
    assert len(shelf.kept) == 0


async def test_put__more_than_there_is_room_for__lets_the_oldest_go(redis) -> None:
    shelf = Shelf(redis, at_most=3 * (OVERHEAD_BYTES + 100))
    for number in range(10):
        shelf.put(VIEWERS[0], b"x" * 100, place=f"?{number}")
    assert len(shelf.kept) == 3
    assert await shelf.kept.find(key(VIEWERS[0], "?9")) is not None
    assert await shelf.kept.find(key(VIEWERS[0], "?6")) is None
    shelf.put(VIEWERS[0], b"x" * (kept.LARGEST_BYTES + 1), place="?10")
    assert await shelf.kept.find(key(VIEWERS[0], "?10")) is None


async def test_versions__many_at_once__ask_together_and_never_use_an_older_question(redis) -> None:
    versions = Versions(redis, Part("redis"))
    names = [restored_key(user) for user in VIEWERS]
    first = [asyncio.create_task(versions.of(name)) for name in names]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the first question is under way: what comes now has to ask again
    assert len(redis.asked) == 1
    redis.values[names[0]] = b"2"
    late = asyncio.create_task(versions.of(names[0]))
    assert await late == b"2"
    assert sorted(redis.asked[0]) == sorted(names)
    assert len(redis.asked) == 2
    assert await asyncio.gather(*first)


steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "see", "swap", "empty", "slow"]),
        st.integers(0, len(VIEWERS) - 1),
        st.integers(0, len(TITLES) - 1),
        st.integers(0, 1),
    ),
    max_size=40,
)


class Truth:
    """Two processes over one Redis, and what viewers really saw."""

    def __init__(self) -> None:
        self.redis = FakeRedis()
        self.shelves = [Shelf(self.redis), Shelf(self.redis)]
        self.seen: dict[UUID, set[str]] = {user: set() for user in VIEWERS}
        self.count = 0

    def see(self, user: UUID, title: str) -> None:
        self.count += 1
        self.seen[user].add(title)
        if restored_key(user) in self.redis.values:  # as the accept script: a history that is not complete stays so
            self.redis.values[restored_key(user)] = b"e%d" % self.count

    async def ask(self, user: UUID, shelf: Shelf, *, meanwhile: str | None) -> None:
        """Give a kept answer, or make one; ``meanwhile`` is seen between reading the viewer and keeping the answer."""
        before = set(self.seen[user])
        found = await shelf.kept.find(key(user))
        if found is not None:
            assert not before & set(found.body.decode().split())
            return
        self.count += 1
        version = self.redis.values.setdefault(restored_key(user), b"r%d" % self.count)
        body = " ".join(one for one in TITLES if one not in self.seen[user]).encode()
        if meanwhile is not None:
            self.see(user, meanwhile)
        shelf.put(user, body, version)

    async def step(self, what: str, user: UUID, title: str, shelf: Shelf) -> None:
        if what == "see":
            self.see(user, title)
        elif what == "swap":
            shelf.library = SimpleNamespace(token=object())
        elif what == "empty":
            self.redis.values.clear()
        else:
            await self.ask(user, shelf, meanwhile=title if what == "slow" else None)


@given(steps)
@settings(max_examples=150)
def test_kept__any_order_of_events_in_two_processes__never_shows_what_was_seen_before_the_request(order) -> None:
    async def run() -> None:
        truth = Truth()
        for what, who, which, where in order:
            await truth.step(what, VIEWERS[who], TITLES[which], truth.shelves[where])

    asyncio.run(run())
