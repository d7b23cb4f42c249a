"""More titles than ``serving.exact_titles``: the API over real Postgres holds no vectors, and answers all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.db.library import fingerprint
from nexus.db.pool import async_pool

pytestmark = pytest.mark.integration


@pytest.fixture
def beyond(world) -> Any:
    """Settings under which no catalogue is small enough."""
    serving = world.settings.serving.model_copy(update={"exact_titles": 0})
    return world.settings.model_copy(update={"serving": serving})


@pytest.fixture
def no_model(beyond, tmp_path: Path) -> Any:
    """The same without a champion, so that the content rung answers."""
    serving = beyond.serving.model_copy(update={"bundle_url": str(tmp_path / "none")})
    return beyond.model_copy(update={"serving": serving})


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine is slow; what is late has its own tests."""
    for name in ("CONTENT_WITHIN_S", "NEW_WITHIN_S"):
        monkeypatch.setattr(f"serving.recommendations.around.{name}", 10.0)
    for name in ("CHAMPION_WITHIN_S", "CONTENT_WITHIN_S"):
        monkeypatch.setattr(f"serving.recommendations.service.{name}", 20.0)


async def watch(client: httpx.AsyncClient, world: Any, *refs: str) -> None:
    events = [world.event("like", content=ref) for ref in refs]
    response = await client.post("/v1/events", json={"events": events})
    assert response.status_code == 202, response.text


async def answer(client: httpx.AsyncClient, world: Any) -> dict[str, Any]:
    response = await client.get(f"/v1/users/{world.viewer}/recommendations", params={"limit": 8})
    assert response.status_code == 200, response.text
    return response.json()


def shown(answered: dict[str, Any]) -> set[str]:
    return {ref for item in answered["items"] for ref in item["external_ids"]}


async def test_content_rung__no_vectors_held__is_unseen_of_the_liked_kind_and_says_why(world, serve, no_model) -> None:
    liked = world.titles[1:5:2]
    async with serve(no_model) as client:
        state = client.app.state.nexus
        await watch(client, world, *liked)
        found = await answer(client, world)
        held, ready = state.library.vectors, (await client.get("/health/ready")).json()
    assert (len(held), held.is_whole, ready["recommends_by"]) == (0, False, "content")
    assert ready["vectors"] == held.total > 0
    assert found["source"] == "content"
    assert len(found["items"]) == 8
    assert not shown(found) & set(liked)
    assert {tuple(item["genres"]) for item in found["items"]} == {("Crime",)}
    for item in found["items"]:
        assert item["reason"]["text"].startswith("Close to ")
        assert {one["contribution"] > 0 for one in item["reason"]["because"]} == {True}


async def test_content_rung__no_vectors_held__agrees_with_all_of_them_held(world, serve, no_model) -> None:
    answers = []
    for exact_titles in (0, 200_000):
        serving = no_model.serving.model_copy(update={"exact_titles": exact_titles})
        async with serve(no_model.model_copy(update={"serving": serving})) as client:
            if not answers:
                await watch(client, world, *world.titles[2:8:2])
            answers.append(await answer(client, world))
    asked, held = answers
    assert [item["content_id"] for item in asked["items"]] == [item["content_id"] for item in held["items"]]
    assert [item["score"] for item in asked["items"]] == pytest.approx([item["score"] for item in held["items"]])
    assert [item["reason"]["text"] for item in asked["items"]] == [item["reason"]["text"] for item in held["items"]]


@pytest.mark.parametrize("is_refused", [True, False])
async def test_content_rung__postgres_goes_away__popular_answers_unseen(
    world, serve, no_model, is_refused, monkeypatch
) -> None:
    url = type(no_model.postgres.url)("postgresql://postgres:x@127.0.0.1:9/nexus")
    gone = no_model.model_copy(update={"postgres": no_model.postgres.model_copy(update={"url": url})})
    async with serve(no_model) as client, async_pool(gone, "api", min_size=0) as nobody_there:
        await watch(client, world, world.titles[1])
        before = await answer(client, world)
        state = client.app.state.nexus
        if is_refused:
            monkeypatch.setattr("serving.recommendations.around.CONTENT_WITHIN_S", 0.4)
            monkeypatch.setattr(state.database, "pool", nobody_there)
        else:
            state.database.part._again_at = float("inf")
        response = await client.get(
            f"/v1/users/{world.viewer}/recommendations", params={"limit": 8}, headers={"cache-control": "no-cache"}
        )
        monkeypatch.undo()
    after = response.json()
    assert (before["source"], response.status_code, after["source"]) == ("content", 200, "popular")
    assert len(after["items"]) == 8
    assert world.titles[1] not in shown(after)


async def test_champion__no_vectors_held__still_finds_place_for_a_new_title(world, serve, beyond) -> None:
    async with serve(beyond) as client:
        await watch(client, world, world.titles[0])  # of the new title's kind
        found = await answer(client, world)
    assert found["source"] == "champion"
    (new,) = [item for item in found["items"] if item["is_new"]]
    assert new["reason"]["text"].startswith("New in your library, close to ")
    assert world.titles[0] not in shown(found)


async def test_similar__no_vectors_held__are_those_of_the_whole_and_503_while_postgres_is_away(
    world, serve, beyond
) -> None:
    path = f"/v1/content/{world.titles[0]}/similar?limit=5"
    async with serve(world.settings) as client:
        wanted = (await client.get(path)).json()["items"]
    async with serve(beyond) as client:
        found = (await client.get(path)).json()["items"]
        client.app.state.nexus.database.part._again_at = float("inf")
        away = await client.get(path)
        by_name = await client.get("/v1/search", params={"q": f"{world.tag} crime 2"})
    assert [item["content_id"] for item in found] == [item["content_id"] for item in wanted]
    assert away.status_code == 503
    assert by_name.json()["items"][0]["title"] == f"{world.tag} Crime 2 (1995)"


@pytest.mark.parametrize("is_same", [True, False])
async def test_loader__another_vocabulary__loads_again_though_no_title_changed(serve, beyond, is_same) -> None:
    async with serve(beyond) as client:
        state = client.app.state.nexus
        async with state.database.connection(10.0) as connection:
            before = await fingerprint(connection)
        if not is_same:
            state.library.known = {**state.library.known}
        was_loaded = await state.loader.refresh()
        async with state.database.connection(10.0) as connection:
            assert await fingerprint(connection) == before
    assert was_loaded is not is_same
