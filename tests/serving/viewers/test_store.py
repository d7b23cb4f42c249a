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
