"""The short way: only for plain, untraced requests; counted and named like the long one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nexus import telemetry
from serving.metrics import Metrics
from serving.recommendations.fast import Answers, Shortcut
from serving.recommendations.kept import KeptAnswer
from serving.responses import SECURITY_HEADERS
from serving.tracing import DRAWN

pytestmark = pytest.mark.unit
PATH = "/v1/users/movielens:1/recommendations"


class Shelf:
    """Keeps one answer, or none."""

    def __init__(self, kept: KeptAnswer | None) -> None:
        self.kept = kept
        self.asked = 0

    async def find(self, _: tuple[str, bytes]) -> KeptAnswer | None:
        self.asked += 1
        return self.kept


class Door:
    """A shortcut before an app that only notes what reaches it."""

    def __init__(self, *, has_answer: bool = True) -> None:
        self.metrics = Metrics()
        self.shelf = Shelf(KeptAnswer(b"[]", "popular", "v", b"1", None, 0.0) if has_answer else None)
        state: Any = SimpleNamespace(nexus=SimpleNamespace(kept=self.shelf))
        self.passed: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.shortcut = Shortcut(self._app, Answers(state, self.metrics), "/route", self.metrics)

    async def _app(self, scope: Any, *_: Any) -> None:
        self.passed.append(scope)

    async def ask(self, path: str = PATH, method: str = "GET", headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": list(headers)}
        await self.shortcut(scope, receive, send)


async def test_request__answer_is_kept__is_sent_with_every_header_and_counted() -> None:
    door = Door()
    await door.ask()
    start, body = door.sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert door.passed == []
    assert body["body"] == b"[]"
    assert headers["content-length"] == "2"
    assert headers.items() >= SECURITY_HEADERS.items()
    assert len(bytes.fromhex(headers["x-trace-id"])) == 16
    told = door.metrics.exposition().decode()
    assert 'nexus_http_requests_total{method="GET",route="/route",status="200"} 1.0' in told
    assert 'nexus_kept_answers_total{outcome="given"} 1.0' in told
    assert 'nexus_recommendations_total{source="popular"} 1.0' in told


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ({"headers": ((b"traceparent", b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01"),)}, 0),
        ({"headers": ((b"cache-control", b"no-cache"),)}, 0),
        ({"method": "POST"}, 0),
        ({"path": "/v1/users/movielens:1/history"}, 0),
    ],
    ids=["traced", "no-cache", "post", "other-route"],
)
async def test_request__not_a_plain_one__goes_the_long_way(words: dict[str, Any], asked: int) -> None:
    door = Door()
    await door.ask(**words)
    assert (len(door.passed), door.sent, door.shelf.asked) == (1, [], asked)


async def test_request__nothing_kept__goes_the_long_way_and_is_not_asked_again() -> None:
    door = Door(has_answer=False)
    await door.ask()
    assert len(door.passed) == 1
    assert door.passed[0][DRAWN] is False
    assert "nexus.kept_asked" in door.passed[0]


async def test_request__drawn_for_a_trace__goes_the_long_way_marked_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "is_drawn", lambda: True)
    door = Door()
    await door.ask()
    assert door.shelf.asked == 0
    assert door.passed[0][DRAWN] is True
