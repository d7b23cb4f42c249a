"""Answers that are given again, over real Redis and Postgres, with two API processes side by side."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from nexus import ids, served
from nexus.events import restored_key

pytestmark = pytest.mark.integration


async def no_features(_: UUID) -> dict[str, float]:
    return {}


@pytest.fixture(autouse=True)
def _features(monkeypatch) -> None:
    """A feature store that answers: an answer made without it is not kept."""
    monkeypatch.setattr("serving.state.feature_reader", lambda _: no_features)


async def ask(client: httpx.AsyncClient, user: str, **headers: str) -> dict[str, Any]:
    response = await client.get(f"/v1/users/{user}/recommendations?limit=5", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def send(client: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    for _ in range(20):  # a busy machine may answer 503; the same events count once
        response = await client.post("/v1/events", json={"events": list(events)})
        if response.status_code != 503:
            break
    assert response.is_success, response.text
    answer = response.json()
    assert answer["accepted"] + answer["duplicates"] == len(events), response.text


def state(client: Any) -> Any:
    client.app.state.nexus.context.reader = no_features  # at once, not when the warmer comes to it
    return client.app.state.nexus


async def settled(client: httpx.AsyncClient, user: str) -> dict[str, Any]:
    """An answer that is kept."""
    await ask(client, user)
    first = await ask(client, user)
    assert (await ask(client, user)) == first
    return first


async def test_answer__asked_again__is_the_same_with_all_headers_and_counts(world, serve) -> None:
    async with serve(world.settings) as client:
        held = state(client)
        await send(client, world.event("like"))
        first = await settled(client, world.viewer)
        path = f"/v1/users/{world.viewer}/recommendations?limit=5"
        again = await client.get(path)
        anew = await client.get(path, headers={"cache-control": "no-cache"})
        assert again.json() == first
        assert anew.json()["recommendation_id"] != first["recommendation_id"]
        assert set(anew.headers) == set(again.headers)
        assert (await client.get(path)).json() == anew.json()
        assert len(held.kept) == 1
        text = (await client.get("/metrics")).text
    assert 'nexus_kept_answers_total{outcome="given"}' in text
    assert 'route="/v1/users/{user_id:path}/recommendations",status="200"' in text


async def test_answer__the_other_process_accepts_events__never_shows_a_seen_or_hidden_title(world, serve) -> None:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(serve(world.settings)) for _ in range(2)]
        state(one), state(other)
        await send(one, world.event("like"))
        barred = set()
        for kind in ("view", "hide", "rate", "hide", "dislike", "view"):
            first = await settled(one, world.viewer)
            top = first["items"][0]
            await send(
                other, world.event(kind, content=top["content_id"], **({"value": 4.0} if kind == "rate" else {}))
            )
            barred.add(top["content_id"])
            for client in (one, other):
                found = await ask(client, world.viewer)
                assert not barred & {item["content_id"] for item in found["items"]}
        await send(other, world.event("unhide", content=top["content_id"]))


async def test_answer__asked_and_acted_on_at_once__a_request_after_the_event_never_shows_it(world, serve) -> None:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(serve(world.settings)) for _ in range(2)]
        state(one), state(other)
        await send(one, world.event("like"))
        barred: set[str] = set()
        is_over = False

        async def reader(client: httpx.AsyncClient) -> int:
            asked = 0
            while not is_over:
                before = set(barred)
                found = await ask(client, world.viewer)
                assert not before & {item["content_id"] for item in found["items"]}
                asked += 1
                await asyncio.sleep(0)
            return asked

        readers = [asyncio.create_task(reader(client)) for client in (one, other, one, other)]
        for _ in range(12):
            items = (await ask(one, world.viewer))["items"]
            if not items:
                break
            await send(other, world.event("hide", content=items[0]["content_id"]))
            barred.add(items[0]["content_id"])
        is_over = True
        assert min(await asyncio.gather(*readers)) > 0


async def test_answer__model_or_history_changed_behind_the_api__is_made_anew(world, serve, promote_version) -> None:
    async with serve(world.settings) as client:
        held = state(client)
        await send(client, world.event("like"))
        first = await settled(client, world.viewer)
        promote_version(world, "2", tilt=5.0)
        await held.watcher.look()
        second = await settled(client, world.viewer)
        assert (first["model_version"], second["model_version"]) == ("1", "2")
        user_id = ids.internal("user", ids.parse(world.viewer))
        await held.redis.delete(restored_key(user_id))  # as when Redis is emptied
        third = await ask(client, world.viewer)
        assert third["recommendation_id"] != second["recommendation_id"]


async def test_every_answer__any_rung__is_written_down_once_under_its_id(world, serve) -> None:
    async with serve(world.settings) as client:
        held = state(client)
        await send(client, world.event("like"))
        champion = await settled(client, world.viewer)
        popular = await ask(client, world.quiet_viewer)
        await held.recorder.stop()
        entries = await held.redis.xrange(served.STREAM)
    bodies = [served.Served.model_validate_json(fields[b"served"]) for _, fields in entries]
    found = {str(one.recommendation_id): one for one in bodies}
    assert len(found) == len(bodies)
    record = found[champion["recommendation_id"]]
    assert (record.rung, record.model_version) == ("champion", champion["model_version"])
    assert [str(one.content_id) for one in record.titles] == [item["content_id"] for item in champion["items"]]
    assert [one.score for one in record.titles] == [item["score"] for item in champion["items"]]
    assert found[popular["recommendation_id"]].rung == "popular"


async def test_unknown_viewer_or_wrong_limit__after_a_kept_answer__is_still_a_problem(world, serve) -> None:
    async with serve(world.settings) as client:
        state(client)
        await send(client, world.event("like"))
        await settled(client, world.viewer)
        assert (await client.get(f"/v1/users/{world.viewer}/recommendations?limit=0")).status_code == 422
        assert (await client.get(f"/v1/users/srvuser:{uuid4().hex}/recommendations?limit=5")).status_code == 404
        too_large = {"content-length": str(world.settings.api.max_body_bytes + 1)}
        path = f"/v1/users/{world.viewer}/recommendations?limit=5"
        assert (await client.get(path, headers=too_large)).status_code == 413
