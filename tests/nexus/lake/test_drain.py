"""From stream to table exactly once, with a drain that dies at the worst moment."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from nexus.lake.drain import drain, waiting
from nexus.lake.lake import Lake

pytestmark = pytest.mark.integration

TABLE = "raw_nexus__events"


class KilledError(Exception):
    """What a kill looks like from inside."""


class DiesBeforeTrim:
    """A client whose process dies when it is about to trim something committed."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def xtrim(self, *_: Any, **__: Any) -> Any:
        raise KilledError


@pytest.fixture
def client(redis_server: str) -> Any:
    with redis.Redis.from_url(redis_server) as made:
        made.delete("test:drain", "nexus:life:test:drain")
        yield made


def _run(lake: Lake, client: Any, batch: int = 10_000) -> int:
    return drain(lake, client, stream="test:drain", field="event", table=TABLE, batch=batch).rows


def _bodies(lake: Lake) -> list[str]:
    return sorted(lake.read(TABLE).column("body").to_pylist())


def test_drain__an_empty_stream__makes_an_empty_table(lake: Lake, client: Any) -> None:
    assert _run(lake, client) == 0
    assert _bodies(lake) == []


def test_drain__killed_between_commit_and_trim__has_every_entry_once(lake: Lake, client: Any) -> None:
    for number in range(5):
        client.xadd("test:drain", {"event": f"e{number}"})
    with pytest.raises(KilledError):
        _run(lake, DiesBeforeTrim(client))
    assert client.xlen("test:drain") == 5
    client.xadd("test:drain", {"event": "e5"})
    assert _run(lake, client) == 1
    assert _bodies(lake) == [f"e{number}" for number in range(6)]
    assert client.xlen("test:drain") == 0
    assert _run(lake, client) == 0


def test_drain__in_small_batches__takes_all_and_trims_only_what_is_committed(lake: Lake, client: Any) -> None:
    for number in range(7):
        client.xadd("test:drain", {"event": f"e{number}"})
    assert _run(lake, client, batch=3) == 7
    assert len(set(_bodies(lake))) == 7
    assert client.xlen("test:drain") == 0


def test_drain__another_drain_was_faster__goes_on_behind_it(lake: Lake, client: Any) -> None:
    for number in range(4):
        client.xadd("test:drain", {"event": f"e{number}"})

    class Overtaken:
        """Between reading and appending, another drain takes the same entries."""

        is_first = True

        def xrange(self, *args: Any, **named: Any) -> Any:
            entries = client.xrange(*args, **named)
            if self.is_first:
                self.is_first = False
                _run(lake, client, batch=2)
            return entries

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

    assert _run(lake, Overtaken()) == 0
    assert _bodies(lake) == ["e0", "e1", "e2", "e3"]


def test_drain__an_entry_without_the_field_or_not_utf8__is_kept_as_it_is(lake: Lake, client: Any) -> None:
    client.xadd("test:drain", {"other": "x"})
    client.xadd("test:drain", {"event": b"\xff"})
    assert _run(lake, client) == 2
    assert _bodies(lake) == ["", "\\xff"]


def test_drain__a_consumer_group_lags__keeps_what_it_has_not_done(lake: Lake, client: Any) -> None:
    names = [client.xadd("test:drain", {"event": f"e{number}"}) for number in range(4)]
    client.xgroup_create("test:drain", "copier", id="0")
    client.xreadgroup("copier", "one", {"test:drain": ">"}, count=3)
    client.xack("test:drain", "copier", names[0], names[1])
    assert _run(lake, client) == 4
    assert [name for name, _ in client.xrange("test:drain")] == names[2:]
    client.xreadgroup("copier", "one", {"test:drain": ">"})
    client.xack("test:drain", "copier", *names)
    assert _run(lake, client) == 0
    assert client.xlen("test:drain") == 0
    assert _bodies(lake) == [f"e{number}" for number in range(4)]


DAY_MS = 86_400_000


def _sent(client: Any, first: int, count: int, *, at_ms: int) -> None:
    for number in range(first, first + count):
        client.xadd("test:drain", {"event": f"e{number}"}, id=f"{at_ms}-{number}")


@pytest.mark.parametrize("jump_ms", [-DAY_MS, DAY_MS])
def test_drain__redis_wiped_and_the_clock_jumped__keeps_every_entry_of_both_lives(
    lake: Lake, client: Any, jump_ms: int
) -> None:
    now = 1_900_000_000_000
    _sent(client, 0, 3, at_ms=now)
    assert _run(lake, client) == 3
    client.delete("test:drain", "nexus:life:test:drain")
    _sent(client, 3, 3, at_ms=now + jump_ms)
    assert _run(lake, client, batch=2) == 3
    assert _bodies(lake) == [f"e{number}" for number in range(6)]
    assert client.xlen("test:drain") == 0
    _sent(client, 6, 1, at_ms=now + jump_ms + 5)
    assert _run(lake, client) == 1
    assert _run(lake, client) == 0


def test_drain__redis_fell_back_and_the_clock_too__begins_a_new_life(lake: Lake, client: Any) -> None:
    now = 1_900_000_000_000
    _sent(client, 0, 3, at_ms=now)
    assert _run(lake, client) == 3
    client.delete("test:drain")
    _sent(client, 3, 2, at_ms=now - DAY_MS)
    assert _run(lake, client) == 2
    assert _bodies(lake) == [f"e{number}" for number in range(5)]


def test_drain__only_the_name_of_the_life_is_lost__appends_nothing_twice(lake: Lake, client: Any) -> None:
    _sent(client, 0, 4, at_ms=1_900_000_000_000)
    client.xgroup_create("test:drain", "copier", id="0")
    assert _run(lake, client) == 4
    assert client.xlen("test:drain") == 4
    client.delete("nexus:life:test:drain")
    _sent(client, 4, 1, at_ms=1_900_000_000_001)
    assert _run(lake, client, batch=2) == 1
    assert _bodies(lake) == [f"e{number}" for number in range(5)]


def test_waiting__drained_entries_that_stay_for_a_slower_reader__do_not_count(lake: Lake, client: Any) -> None:
    def look() -> int:
        return waiting(lake, client, stream="test:drain", table=TABLE, at_most=100)

    assert look() == 0
    client.xgroup_create("test:drain", "copier", id="0", mkstream=True)
    for number in range(3):
        client.xadd("test:drain", {"event": f"e{number}"})
    assert look() == 3
    assert _run(lake, client) == 3
    assert client.xlen("test:drain") == 3
    assert look() == 0
    client.xadd("test:drain", {"event": "e3"})
    assert look() == 1
