"""The contract over real Postgres and Redis, through HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.integration


async def recommend(client: httpx.AsyncClient, user: str, **query: Any) -> dict[str, Any]:
    response = await client.get(f"/v1/users/{user}/recommendations", params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def send(client: httpx.AsyncClient, *events: dict[str, Any]) -> dict[str, Any]:
    response = await client.post("/v1/events", json={"events": list(events)})
    assert response.status_code == 202, response.text
    return response.json()


async def caught_up(redis: Any) -> bool:
    """Whether Postgres has every event of the stream."""
    from nexus.events import STREAM
    from serving.events.projector import GROUP

    groups = {group["name"]: group for group in await redis.xinfo_groups(STREAM)}
    newest = (await redis.xinfo_stream(STREAM))["last-generated-id"]
    group = groups[GROUP.encode()]
    return group["last-delivered-id"] == newest and group["pending"] == 0


async def test_new_viewer__first_event__is_recommended_at_once_with_a_true_reason(world, serve) -> None:
    async with serve(world.settings) as client:
        unknown = await client.get(f"/v1/users/{world.viewer}/recommendations")
        assert unknown.status_code == 404
        assert unknown.headers["content-type"] == "application/problem+json"
        assert unknown.json()["field"] == "user"
        assert unknown.json()["remedy"]

        outcome = await send(client, world.event("rate", value=5.0, content=world.titles[1]))
        assert (outcome["accepted"], outcome["refused"]) == (1, [])
        answer = await recommend(client, world.viewer, limit=8, explain="")

    assert answer["source"] == "champion"
    assert answer["model_version"] == "1"
    normal = [item for item in answer["items"] if not item["is_new"]]
    assert [item["score"] for item in normal] == sorted((item["score"] for item in normal), reverse=True)
    assert world.titles[1] not in {ref for item in answer["items"] for ref in item["external_ids"]}
    first = normal[0]
    assert first["reason"]["text"].startswith("Because you watched ")
    assert first["reason"]["because"][0]["title"] in first["reason"]["text"]
    parts = sum(part["contribution"] for part in first["explanation"]["history"]) + first["explanation"]["static"]
    assert parts == pytest.approx(first["score"], abs=1e-5)


async def test_new_title__outside_the_vocabulary__takes_the_reserved_place(world, serve) -> None:
    async with serve(world.settings) as client:
        await send(client, *(world.event("like", content=ref) for ref in world.titles[:2]))
        answer = await recommend(client, world.viewer, limit=10)
    fresh = [place for place, item in enumerate(answer["items"]) if item["is_new"]]
    assert fresh == [9]
    assert answer["items"][9]["external_ids"] == [world.new_title]
    assert answer["items"][9]["reason"]["text"].startswith("New in your library, close to ")


async def test_new_title__by_the_projection_of_the_bundle__takes_the_place_with_an_exact_reason(
    world, serve, promote_version, genre_projection
) -> None:
    """The new title is of crime or of space, like every second one; only who watched that kind is shown it."""
    promote_version(world, "2", content=genre_projection)
    async with serve(world.settings) as client:
        new = (await client.get(f"/v1/content/{world.new_title}")).json()
        kinds = {ref: (await client.get(f"/v1/content/{ref}")).json()["genres"] for ref in world.titles[:4]}
        same = [ref for ref, genres in kinds.items() if genres == new["genres"]]
        await send(client, *(world.event("view", content=ref) for ref in kinds if ref not in same))
        before = await recommend(client, world.viewer, limit=10, explain="")
        await send(client, *(world.event("view", content=ref) for ref in same))
        after = await recommend(client, world.viewer, limit=10, explain="")
    assert not any(item["is_new"] for item in before["items"])
    assert [place for place, item in enumerate(after["items"]) if item["is_new"]] == [9]
    (item,) = [item for item in after["items"] if item["is_new"]]
    assert item["external_ids"] == [world.new_title]
    assert item["reason"]["text"].startswith("New in your library, close to ")
    shares = [part["contribution"] for part in item["explanation"]["history"]]
    assert sum(shares) + item["explanation"]["static"] == pytest.approx(item["score"], abs=1e-5)
    assert sorted(shares, reverse=True)[:2] == pytest.approx([2.0, 1.0], abs=1e-3)
    assert item["score"] == pytest.approx(2.0 * (1 + 0.5), abs=1e-3)  # two titles of its kind, the older counts half


async def test_events__bad_ones_among_good__are_named_and_the_rest_taken_once(world, serve) -> None:
    good = world.event("rate", value=4.0)
    batch = [
        good,
        good,
        world.event("rate", value=9),
        world.event("view", content="srv:nobody-knows"),
        world.event("dance"),
        world.event("view", at="2999-01-01T00:00:00Z"),
        world.event("view", user="no id"),
        "not an object",
    ]
    async with serve(world.settings) as client:
        outcome = await send(client, *batch)
        again = await send(client, good)
        history = (await client.get(f"/v1/users/{world.viewer}/history")).json()
    assert (outcome["accepted"], outcome["duplicates"]) == (1, 1)
    assert [(one["index"], one["field"]) for one in outcome["refused"]] == [
        (2, "value"),
        (3, "content"),
        (4, "type"),
        (5, "at"),
        (6, "user"),
        (7, "events"),
    ]
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert [(line["type"], line["value"]) for line in history["items"]] == [("rate", 4.0)]


async def test_history__several_events__newest_first_and_viewings_only(world, serve) -> None:
    times = ["2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z", "2024-02-01T00:00:00Z"]
    events = [world.event("view", content=ref, at=at) for ref, at in zip(world.titles, times, strict=False)]
    async with serve(world.settings) as client:
        await send(client, *events, world.event("hide", content=world.titles[5]), world.event("share"))
        lines = (await client.get(f"/v1/users/{world.viewer}/history", params={"limit": 2})).json()["items"]
    assert [line["at"] for line in lines] == ["2024-03-01T00:00:00Z", "2024-02-01T00:00:00Z"]


async def test_hide__then_unhide__title_goes_and_comes_back(world, serve) -> None:
    async with serve(world.settings) as client:
        await send(client, world.event("like", content=world.titles[0]))
        first = (await recommend(client, world.viewer, limit=3))["items"][0]
        await send(client, world.event("hide", content=first["content_id"]))
        hidden = await recommend(client, world.viewer, limit=50)
        assert first["content_id"] not in {item["content_id"] for item in hidden["items"]}
        await send(client, world.event("unhide", content=first["content_id"]))
        assert (await recommend(client, world.viewer, limit=3))["items"][0]["content_id"] == first["content_id"]


async def test_viewer_without_events__known_in_postgres__gets_popular(world, serve) -> None:
    async with serve(world.settings) as client:
        answer = await recommend(client, world.quiet_viewer, limit=5)
    assert answer["source"] == "popular"
    assert answer["model_version"] is None
    assert {item["reason"]["text"] for item in answer["items"]} == {"Popular with viewers of your server"}


async def test_no_champion__viewer_with_history__gets_content_with_shares_that_add_up(world, serve) -> None:
    (world.bundles / "champion.json").unlink()
    async with serve(world.settings) as client:
        await send(client, world.event("like", content=world.titles[0]), world.event("like", content=world.titles[2]))
        answer = await recommend(client, world.viewer, limit=5, explain=True)
    assert answer["source"] == "content"
    for item in answer["items"]:
        assert sum(part["contribution"] for part in item["explanation"]["history"]) == pytest.approx(
            item["score"], abs=1e-4
        )


async def test_accepted_events__after_a_restart_with_an_empty_redis__come_back_from_postgres(world, serve) -> None:
    from nexus.events import hidden_key, history_key, restored_key
    from nexus.ids import internal, parse

    user = internal("user", parse(world.viewer))
    async with serve(world.settings) as client:
        await send(client, world.event("like"), world.event("hide", content=world.titles[3]))
        async with asyncio.timeout(20):
            while not await caught_up(client.app.state.nexus.redis):  # noqa: ASYNC110 - another part tells
                await asyncio.sleep(0.02)
        await client.app.state.nexus.redis.delete(history_key(user), hidden_key(user), restored_key(user))
    async with serve(world.settings) as client:
        history = (await client.get(f"/v1/users/{world.viewer}/history")).json()["items"]
        answer = await recommend(client, world.viewer, limit=100)
    assert [line["external_ids"] for line in history] == [[world.titles[0]]]
    assert not {world.titles[0], world.titles[3]} & {ref for item in answer["items"] for ref in item["external_ids"]}


async def test_swap__while_requests_run__none_fails_and_the_new_model_answers(world, serve, promote_version) -> None:
    async with serve(world.settings) as client:
        await send(client, world.event("like"))
        stop = asyncio.Event()
        versions: list[str] = []

        async def ask() -> None:
            while not stop.is_set():
                versions.append((await recommend(client, world.viewer, limit=5))["model_version"])

        tasks = [asyncio.create_task(ask()) for _ in range(4)]
        for version in ("1", "2", "3"):
            if version != "1":
                await asyncio.to_thread(promote_version, world, version, tilt=float(version))
            async with asyncio.timeout(20):
                while not versions or versions[-1] != version:  # noqa: ASYNC110 - the answers tell
                    await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*tasks)
    assert {"1", "2", "3"} == set(versions)


async def test_broken_bundle__promoted__is_refused_and_the_old_model_stays(world, serve, promote_version) -> None:
    async with serve(world.settings) as client:
        await send(client, world.event("like"))
        promote_version(world, "2")
        model = world.bundles / "models" / "2" / "model.onnx"
        model.write_bytes(model.read_bytes()[:-10])
        await client.app.state.nexus.watcher.look()
        assert (await recommend(client, world.viewer))["model_version"] == "1"
        assert 'nexus_model_loads_total{outcome="refused"} 1.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/users/srvuser:x/recommendations?limit=0", 422, "limit"),
        ("/v1/users/srvuser:x/recommendations?limit=1000000000", 422, "limit"),
        ("/v1/users/srvuser:x/recommendations?limit=x", 422, "limit"),
        ("/v1/users/srvuser:x/recommendations?explain=maybe", 422, "explain"),
        ("/v1/users/srvuser:x/history?limit=1001", 422, "limit"),
        ("/v1/users/no%20id/recommendations", 422, "user"),
        ("/v1/users/srvuser:nobody/history", 404, "user"),
        ("/v1/content/srv:nothing", 404, "content"),
        ("/v1/content/%00/similar", 422, "content"),
        ("/v1/search?q=", 422, "q"),
        ("/v1/search?q=%20", 422, "q"),
        ("/v1/search?q=" + "x" * 501, 422, "q"),
        ("/v1/search", 422, "q"),
        ("/v1/nothing", 404, "path"),
        ("/v1/events", 405, "method"),
        ("/web/nothing.js", 404, "path"),
    ],
)
def test_bad_request__any__is_a_problem_that_names_the_field(shared, path, status, field) -> None:
    response = shared.get(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["field"] == field
    assert response.json()["remedy"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 422, "body"),
        (b"[]", 422, "events"),
        (b'{"events": 3}', 422, "events"),
        (b'{"events": [], "more": 1}', 422, "more"),
        (b'{"events": [' + b"1," * 1000 + b"1]}", 422, "events"),
        (b" " * 2_000_001, 413, "body"),
    ],
)
def test_events_body__wrong_as_a_whole__is_one_problem(shared, body, status, field) -> None:
    announced = shared.post("/v1/events", content=body)
    streamed = shared.post("/v1/events", content=(body[at : at + 65_536] for at in range(0, len(body), 65_536)))
    for response in (announced, streamed):
        assert (response.status_code, response.json()["field"]) == (status, field)


async def test_content__by_either_id__with_similar_of_its_kind(world, serve) -> None:
    async with serve(world.settings) as client:
        by_ref = (await client.get(f"/v1/content/{world.titles[0]}")).json()
        by_id = (await client.get(f"/v1/content/{by_ref['content_id']}")).json()
        similar = (await client.get(f"/v1/content/{world.titles[0]}/similar?limit=5")).json()["items"]
        client.app.state.nexus.database.part._again_at = float("inf")  # Postgres is away
        kept = (await client.get(f"/v1/content/{world.titles[0]}/similar?limit=5")).json()["items"]
    assert by_ref == by_id
    assert by_ref["external_ids"] == [world.titles[0]]
    assert {tuple(item["genres"]) for item in similar} == {tuple(by_ref["genres"])}
    assert [item["content_id"] for item in kept] == [item["content_id"] for item in similar]


async def test_search__a_title_by_its_name__comes_first(world, serve) -> None:
    async with serve(world.settings) as client:
        items = (await client.get("/v1/search", params={"q": f"{world.tag} crime 2"})).json()["items"]
    assert items[0]["title"] == f"{world.tag} Crime 2 (1995)"


async def test_users__asked_for_one__shows_name_and_count(world, serve) -> None:
    async with serve(world.settings) as client:
        await send(client, world.event())
        answer = (await client.get("/v1/users", params={"q": world.quiet_viewer})).json()
    assert [one["name"] for one in answer["items"]] == [world.quiet_viewer]


async def test_models__registry_away__shows_the_served_one(world, serve) -> None:
    away = world.settings.mlflow.model_copy(update={"url": "http://127.0.0.1:9"})
    async with serve(world.settings.model_copy(update={"mlflow": away})) as client:
        answer = (await client.get("/v1/models")).json()
    assert answer["current"] == "1"
    assert answer["registry"] == "away"
    assert answer["models"][0]["floors"] == {"popularity": {"ndcg_at_10": 0.05}}


async def test_operations__start_ask_cancel__as_the_contract_says(world, serve) -> None:
    new = {"external_id": f"srv:{uuid4().hex[:8]}", "title": "A title", "content_type": "movie", "year": 2001}
    async with serve(world.settings) as client:
        started = await client.post("/v1/content", json=new)
        assert started.status_code == 202, started.text
        operation = started.json()["operation_id"]
        status = (await client.get(f"/v1/operations/{operation}")).json()
        assert status["state"] == "running"
        assert isinstance(status["steps"], list)
        missing = await client.get("/v1/operations/nothing-here")
        assert missing.status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"external_id": "no id"}, "external_id"),
        ({"title": ""}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"content_type": "hologram"}, "content_type"),
        ({"year": 1700}, "year"),
        ({"year": 9999}, "year"),
        ({"overview": "x" * 10_001}, "overview"),
        ({"genres": "Drama"}, "genres"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_new_content__wrong_field__is_named(shared, change, field) -> None:
    new = {"external_id": "srv:1", "title": "A title", "content_type": "movie"} | change
    response = shared.post("/v1/content", json=new)
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_every_answer__carries_strict_headers(world, serve) -> None:
    async with serve(world.settings) as client:
        for path in ("/", "/docs", "/docs/reference.js", "/health/live", "/v1/nothing", "/openapi.json"):
            headers = (await client.get(path)).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers


async def test_openapi__every_route__has_an_example_and_its_problems(world, serve) -> None:
    async with serve(world.settings) as client:
        schema = (await client.get("/openapi.json")).json()
        ready = await client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["recommends_by"] == "champion"
    assert set(ready.json()["parts"]) == {"redis", "postgres", "temporal", "mlflow"}
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            for status, answer in operation["responses"].items():
                for media in answer.get("content", {}).values():
                    assert "example" in media, (path, verb, status)
    assert ":path" not in "".join(schema["paths"])


async def test_postgres_away_at_start__catalogue_from_disk__recommends(world, serve) -> None:
    async with serve(world.settings) as client:
        await send(client, world.event("like"))
    away = world.settings.postgres.model_copy(
        update={"url": type(world.settings.postgres.url)("postgresql://postgres:x@127.0.0.1:9/nexus")}
    )
    async with serve(world.settings.model_copy(update={"postgres": away})) as client:
        answer = await recommend(client, world.viewer, limit=5)
        unknown = await recommend(client, f"srvuser:{uuid4().hex}", limit=5)
    assert answer["source"] == "champion"
    assert unknown["source"] == "popular"
    assert (Path(world.settings.bundle_url) / "catalogue.json").exists()


async def test_ready__nobody_asked_anything_yet__knows_every_part(world, serve, monkeypatch) -> None:
    monkeypatch.setattr("serving.state.feature_reader", lambda _: None)
    async with serve(world.settings) as client:
        async with asyncio.timeout(20):
            while True:
                parts = (await client.get("/health/ready")).json()["parts"]
                if "unknown" not in parts.values():
                    break
                await asyncio.sleep(0.05)
    assert parts == {"redis": "up", "postgres": "up", "temporal": "up", "mlflow": "away"}
