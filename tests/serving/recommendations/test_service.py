"""Falling through the ladder when parts fail."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import numpy as np
import pytest

from nexus.errors import not_found, unavailable
from serving.content.catalogue import Catalogue, Title
from serving.content.vectors import Vectors
from serving.metrics import Metrics
from serving.recommendations import service
from serving.recommendations.context import Context
from serving.recommendations.library import Library
from serving.viewers.viewer import Viewer

pytestmark = pytest.mark.unit
USER = UUID(int=1)
NAMES = [str(UUID(int=number)) for number in range(100, 110)]


class Broken:
    """A champion that fails in the way it is told to."""

    vocabulary = ("", *NAMES)
    version = "1"
    history_length = 5
    content = None

    def __init__(self, failure: Exception | None) -> None:
        from types import SimpleNamespace

        self.index = {name: place for place, name in enumerate(self.vocabulary) if place}
        self.manifest = SimpleNamespace(context_features=("a",))
        self._failure = failure

    def ask(self, *_: object) -> object:
        if self._failure is not None:
            raise self._failure
        raise AssertionError("not reached")


class Readers:
    def __init__(self, outcome: Viewer | Exception) -> None:
        self._outcome = outcome

    async def read(self, _: object) -> Viewer:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def seen(name: str) -> dict:
    return {"event_id": "e", "type": "view", "content_id": name, "value": None, "at_ms": 0}


def build(viewer, *, champion=None, vectors=True, **words) -> tuple[service.Recommendations, ThreadPoolExecutor]:
    matrix = np.random.default_rng(1).normal(size=(10, 4)).astype(np.float32)
    titles = Catalogue(Title(name, name, popularity_score=1.0) for name in NAMES)
    held = Library(titles, Vectors(NAMES, matrix) if vectors else Vectors(), champion)
    executor = ThreadPoolExecutor(1)
    return service.Recommendations(lambda: held, Readers(viewer), Context(), executor, Metrics(), **words), executor


@pytest.mark.parametrize(
    ("viewer", "champion", "vectors", "source"),
    [
        (Viewer(USER, [seen(NAMES[0])]), Broken(RuntimeError("onnx")), True, "content"),
        (Viewer(USER, [seen(NAMES[0])]), Broken(ValueError("shape")), False, "popular"),
        (Viewer(USER, [seen(NAMES[0])]), None, True, "content"),
        (Viewer(USER, [seen("unknown")]), Broken(None), True, "popular"),
        (Viewer(USER), Broken(None), True, "popular"),
        (unavailable("redis", remedy="wait"), Broken(None), True, "popular"),
    ],
)
async def test_recommend__a_part_fails__the_next_rung_answers(viewer, champion, vectors, source) -> None:
    recommendations, executor = build(viewer, champion=champion, vectors=vectors)
    answer = await recommendations.recommend(USER, 5, explain=False)
    executor.shutdown()
    assert answer["source"] == source
    assert len(answer["items"]) == 5
    if isinstance(viewer, Viewer):
        assert not viewer.seen() & {item["content_id"] for item in answer["items"]}


async def test_recommend__champion_hangs__content_answers_in_time(monkeypatch) -> None:
    import threading

    release = threading.Event()
    champion = Broken(None)
    champion.score = lambda *_: release.wait(10)  # type: ignore[method-assign]
    monkeypatch.setattr(service, "CHAMPION_WITHIN_S", 0.05)
    recommendations, executor = build(Viewer(USER, [seen(NAMES[0])]), champion=champion)
    executor._max_workers = 2
    async with asyncio.timeout(5):
        answer = await recommendations.recommend(USER, 5, explain=False)
    release.set()
    executor.shutdown()
    assert answer["source"] == "content"


async def test_recommend__unknown_viewer__is_not_hidden_by_the_ladder() -> None:
    recommendations, executor = build(not_found("no such viewer", field="user", value="x", remedy="y"))
    with pytest.raises(Exception, match="no such viewer"):
        await recommendations.recommend(USER, 5, explain=False)
    executor.shutdown()


async def test_context__reader_late_or_broken__is_neutral() -> None:
    arrived = asyncio.Event()

    async def late(_: UUID) -> dict[str, float]:
        await arrived.wait()
        return {"b": 3.0}

    async def broken(_: UUID) -> dict[str, float]:
        raise OSError("away")

    async def fine(_: UUID) -> dict[str, float]:
        return {"b": 2.0}

    slow = Context(late)
    assert await slow.of(USER, ("a", "b")) == [0.0, 0.0]
    arrived.set()
    assert await slow.of(USER, ("a", "b")) == [0.0, 3.0]
    assert await Context(broken).of(USER, ("a",)) == [0.0]
    assert await Context(fine).of(USER, ("a", "b")) == [0.0, 2.0]
    assert await Context().of(USER, ("a",)) == [0.0]


@pytest.mark.parametrize(
    ("published", "degraded", "shown"),
    [
        (None, "history_unknown", NAMES),
        (frozenset(), "history_from_snapshot", NAMES),
        (frozenset(NAMES[:4]), "history_from_snapshot", NAMES[4:]),
    ],
)
async def test_recommend__both_stores_away__leaves_out_what_was_published_as_seen_and_says_so(
    published, degraded, shown
) -> None:
    recommendations, executor = build(unavailable("redis", remedy="wait"), snapshot=lambda _: published)
    with executor:
        given = await recommendations.give(USER, 10, explain=False)
    assert {item["content_id"] for item in given.answer["items"]} == set(shown)
    assert (given.answer["degraded"], given.keep) == (degraded, None)


async def test_recommend__stores_away_but_remembered__adds_what_was_published_to_what_is_remembered() -> None:
    viewer = Viewer(USER, [seen(NAMES[0])], is_complete=False, degraded="history_incomplete")
    recommendations, executor = build(viewer, snapshot=lambda _: frozenset({NAMES[1]}))
    with executor:
        given = await recommendations.give(USER, 10, explain=False)
    assert not {NAMES[0], NAMES[1]} & {item["content_id"] for item in given.answer["items"]}
    assert given.answer["degraded"] == "history_incomplete"
