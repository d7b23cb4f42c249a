"""A library too large to hold: rungs ask pgvector, keep every rule, and go on without it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from nexus.db import migrate
from nexus.db.embeddings import DIMENSIONS
from nexus.db.library import count_vectors, find_vectors, load_vectors
from nexus.db.pool import async_pool
from nexus.settings import Settings
from serving.content.catalogue import Catalogue, Title
from serving.content.vectors import Vectors
from serving.metrics import Metrics
from serving.recommendations import rungs
from serving.recommendations.around import Around, Connect, nowhere
from serving.recommendations.context import Context
from serving.recommendations.library import Library
from serving.recommendations.service import Recommendations
from serving.recommendations.variety import Variety
from serving.viewers.viewer import Entry, Viewer
from tests.nexus.db.titles import store

COUNT, CLUSTERS, GONE = 400, 8, 7
USER = UUID(int=1)
NAMES = [str(UUID(int=number + 1)) for number in range(COUNT)]
MET = NAMES[:300]
Ask = Callable[[Connect], Awaitable[Any]]


def made() -> np.ndarray:
    random = np.random.default_rng(9)
    centres = random.normal(size=(CLUSTERS, DIMENSIONS))
    vectors = centres[np.arange(COUNT) % CLUSTERS] + 0.8 * random.normal(size=(COUNT, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Known:
    """A model that knows the first titles and likes the earlier ones more."""

    history_length = 5
    version = "1"
    content = None
    parts: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.vocabulary = ("", *MET)
        self.index = {name: place for place, name in enumerate(self.vocabulary) if place}
        self.manifest = SimpleNamespace(context_features=())

    def ask(self, items: list[int], *_: object) -> list[int]:
        return items

    def scores(self, _: list[int]) -> np.ndarray:
        return -np.arange(len(self.vocabulary), dtype=np.float32) / 100

    def explained(self, _: list[int], titles: list[int]) -> tuple[np.ndarray, np.ndarray]:
        added = np.full((self.history_length, len(titles)), 0.1, np.float32)
        return added, np.zeros((0, len(titles)), np.float32)


def library(*, held: bool, champion: Known | None = None, new_held: bool = False) -> Library:
    """All titles but one, which came in after the catalogue was read."""
    titles = Catalogue(Title(name, name, popularity_score=1.0) for name in NAMES if name != NAMES[GONE])
    if held:
        vectors = Vectors(NAMES, made())
    elif new_held:
        vectors = Vectors(NAMES[len(MET) :], made()[len(MET) :], COUNT)
    else:
        vectors = Vectors(total=COUNT)
    return Library(titles, vectors, champion)  # type: ignore[arg-type]


def viewer(liked: list[int], disliked: list[int] = (), hidden: list[int] = ()) -> Viewer:  # type: ignore[assignment]
    kinds = [("like", row) for row in liked] + [("dislike", row) for row in disliked]
    entries = [
        Entry(event_id=f"e{row}", type=kind, content_id=NAMES[row], value=None, at_ms=-place)
        for place, (kind, row) in enumerate(kinds)
    ]
    return Viewer(USER, entries, frozenset(NAMES[row] for row in hidden))


VIEWERS = [
    viewer([0, 8, 16]),
    viewer([1, 2], disliked=[9, 10], hidden=[17, 25, 33]),
    viewer([7], hidden=list(range(15, 200, 8))),
    viewer([3], hidden=[row for row in range(COUNT) if row % CLUSTERS == 3]),
    viewer([], disliked=[4]),
]


@pytest.fixture(scope="module")
def filled(settings: Settings) -> Settings:
    """A database of its own with the titles and their vectors."""
    url = settings.postgres.owner_url(driver="", database="around")
    own = settings.model_copy(
        update={"postgres": settings.postgres.model_copy(update={"url": type(settings.postgres.url)(url)})}
    )
    migrate.upgrade(own)
    store(own, NAMES, made())
    return own


@pytest.fixture
def with_postgres(filled: Settings) -> Callable[[Ask], Awaitable[Any]]:
    """Asks with connections to the filled database."""

    async def ask(work: Ask) -> Any:
        async with async_pool(filled, "api", max_size=2) as opened:
            await opened.wait()

            def connect_within(_: float) -> AbstractAsyncContextManager[Any]:
                return opened.connection(timeout=20)  # a loaded machine is slow; lateness has its own tests

            return await work(connect_within)

    return ask


@pytest.mark.integration
@pytest.mark.parametrize("who", VIEWERS)
async def test_content__nothing_held__is_the_exact_answer_with_the_same_reasons(who: Viewer, with_postgres) -> None:
    async def ask(connect: Connect) -> Library:
        return await Around(connect, library(held=False), who).content(10)

    near = await with_postgres(ask)
    found = rungs.content_rung(near, who, 10)
    wanted = rungs.content_rung(library(held=True), who, 10)
    assert [pick.content_id for pick in found] == [pick.content_id for pick in wanted]
    assert len(found) == 10
    assert not {pick.content_id for pick in found} & (who.barred() | {NAMES[GONE]})
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert dict(ours.because) == pytest.approx(dict(theirs.because), abs=1e-5)
        assert ours.because.total == pytest.approx(ours.score, abs=1e-5)


@pytest.mark.integration
@pytest.mark.parametrize("new_held", [True, False])
@pytest.mark.parametrize("who", VIEWERS[:3])
async def test_new_titles__held_or_not__are_those_that_a_whole_library_gives(
    who: Viewer, new_held: bool, with_postgres
) -> None:
    held = library(held=False, champion=Known(), new_held=new_held)

    async def ask(connect: Connect) -> tuple[Library, bool]:
        around = Around(connect, held, who)
        return await around.new_titles(), around.is_settled

    seen, is_settled = await with_postgres(ask)
    found = rungs.new_titles(seen, who, 3)
    wanted = rungs.new_titles(library(held=True, champion=Known()), who, 3)
    assert is_settled
    assert len(wanted) == 3
    assert [pick.content_id for pick in found] == [pick.content_id for pick in wanted]
    assert [dict(pick.because) for pick in found] == [pytest.approx(dict(pick.because), abs=1e-5) for pick in wanted]
    assert not {pick.content_id for pick in found} & (who.barred() | set(MET))


async def given(connect: Connect, held: Library, who: Viewer, variety: Variety) -> dict[str, Any]:
    class Reader:
        async def read(self, _: object) -> Viewer:
            return who

    with ThreadPoolExecutor(1) as executor:
        made_by = Recommendations(
            lambda: held,
            Reader(),  # type: ignore[arg-type]
            Context(),
            executor,
            Metrics(),
            variety=variety,
            connect=connect,
        )
        return (await made_by.give(USER, 10, explain=False)).answer


@pytest.mark.integration
async def test_champion__diversity_over_vectors_not_held__is_the_same_list(with_postgres, monkeypatch) -> None:
    from serving.recommendations import around, service

    monkeypatch.setattr(around, "POOL_WITHIN_S", 20.0)
    monkeypatch.setattr(service, "CHAMPION_WITHIN_S", 60.0)
    variety, who = Variety(diversity=0.7), VIEWERS[0]
    found = await with_postgres(lambda connect: given(connect, library(held=False, champion=Known()), who, variety))
    wanted = await given(nowhere, library(held=True, champion=Known()), who, variety)
    plain = await given(nowhere, library(held=True, champion=Known()), who, Variety())
    shown, right, undiverse = ([item["content_id"] for item in one["items"]] for one in (found, wanted, plain))
    assert found["source"] == "champion"
    assert shown == right
    assert shown != undiverse


@pytest.mark.unit
@pytest.mark.parametrize("variety", [Variety(), Variety(diversity=0.7)])
@pytest.mark.parametrize("new_held", [True, False])
async def test_champion__postgres_away__still_recommends_by_the_model(variety: Variety, new_held: bool) -> None:
    held = library(held=False, champion=Known(), new_held=new_held)
    answer = await given(nowhere, held, VIEWERS[1], variety)
    shown = [item["content_id"] for item in answer["items"]]
    assert answer["source"] == "champion"
    assert len(shown) == 10
    assert not set(shown) & (VIEWERS[1].barred() | {NAMES[GONE]})


@pytest.mark.unit
@pytest.mark.parametrize("who", VIEWERS)
async def test_content__postgres_away__popular_answers_unseen(who: Viewer) -> None:
    answer = await given(nowhere, library(held=False), who, Variety())
    assert answer["source"] == "popular"
    assert len(answer["items"]) == 10
    assert not {item["content_id"] for item in answer["items"]} & who.barred()


@pytest.mark.unit
async def test_answer__made_without_new_titles_because_postgres_was_away__is_not_kept() -> None:
    around = Around(nowhere, library(held=False, champion=Known()), VIEWERS[0])
    assert not len((await around.new_titles()).new_rows)
    assert not around.is_settled


@pytest.mark.unit
async def test_pool_vectors__nobody_answers__are_zeros_and_the_answer_is_not_kept() -> None:
    around = Around(nowhere, library(held=False, champion=Known()), VIEWERS[0])
    found = await asyncio.to_thread(around.vectors_of, np.array([1, 2, 3]))
    assert found.shape[0] == 3
    assert not found.any()
    assert not around.is_settled


@pytest.mark.integration
async def test_find_vectors__some_unknown__gives_those_that_are_there_as_all_are_loaded(filled: Settings) -> None:
    async with async_pool(filled, "api", max_size=1) as opened, opened.connection() as connection:
        names, matrix = await load_vectors(connection)
        some, few = await find_vectors(connection, [NAMES[3], str(UUID(int=10**9)), NAMES[5]])
        nobody = await find_vectors(connection, [])
        total = await count_vectors(connection)
    assert (sorted(names), total) == (sorted(NAMES), COUNT)
    assert set(some) == {NAMES[3], NAMES[5]}
    assert nobody[0] == []
    for name, vector in zip(some, few, strict=True):
        assert (vector == matrix[names.index(name)]).all()
        assert vector == pytest.approx(made()[NAMES.index(name)])
