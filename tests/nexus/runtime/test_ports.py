"""Choosing ports: preferences, memory, and a clear refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nexus.errors import Category, NexusError
from nexus.runtime import ports
from nexus.runtime.ports import Wish

pytestmark = pytest.mark.unit


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which ports are in use, without a socket."""

    def take(*numbers: int) -> None:
        monkeypatch.setattr(ports, "is_free", lambda port, _host="": port not in numbers)

    return take


@pytest.mark.parametrize(
    ("wish", "remembered", "in_use", "expected"),
    [
        (Wish("a", 15432), {}, (), 15432),
        (Wish("a", 15432), {"a": 15440}, (), 15440),
        (Wish("a", 15432), {"a": 15440}, (15440,), 15432),
        (Wish("a", 15432), {}, (15432, 15433), 15434),
        (Wish("a", 15432, is_fixed=True), {"a": 15440}, (), 15432),
        (Wish("a", 0), {}, (ports.LOWEST + 1,), ports.LOWEST + 2),
        (Wish("a", ports.HIGHEST), {}, (ports.HIGHEST,), ports.LOWEST),
    ],
)
def test_choose__one_wish__takes_the_best_free_port(
    taken: Callable[..., None], wish: Wish, remembered: dict[str, int], in_use: tuple[int, ...], expected: int
) -> None:
    taken(*in_use)
    assert ports.choose([wish], remembered) == {"a": expected}


def test_choose__a_port_asked_for_is_taken__names_setting_value_and_remedy(taken: Callable[..., None]) -> None:
    taken(9000)
    with pytest.raises(NexusError) as caught:
        ports.choose([Wish("redis", 9000, "redis.port", is_fixed=True)], {})
    assert caught.value.category is Category.CONFLICT
    assert (caught.value.field, caught.value.value) == ("redis.port", "9000")
    assert "NEXUS_REDIS__PORT" in (caught.value.remedy or "")


def test_choose__many_wishes__no_two_get_the_same(taken: Callable[..., None]) -> None:
    taken()
    chosen = ports.choose([Wish("a", 0), Wish("b", 0), Wish("c", 10_002), Wish("d", 10_002)], {"a": 10_002})
    assert len(set(chosen.values())) == len(chosen)


def test_choose__every_port_is_taken__says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _port, _host="": False)
    with pytest.raises(NexusError, match="no free port"):
        ports.choose([Wish("a", 0)], {})


def test_choose__ports_promised_to_others__are_left_alone(taken: Callable[..., None]) -> None:
    taken()
    first = ports.choose([Wish("postgres", 0)], {})
    second = ports.choose([Wish("api", 0)], {}, promised=first.values())
    assert second["api"] != first["postgres"]
