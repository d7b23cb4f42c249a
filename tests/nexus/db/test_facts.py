"""Viewers, titles, interactions, vectors and recommendations, one by one."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from nexus import ids
from nexus.db import content, embeddings, interactions, recommendations, users
from nexus.db.content import ContentRecord
from nexus.db.pool import connect
from nexus.errors import Category, NexusError
from nexus.events import Event, EventType, HistoryEntry, epoch_ms

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC)
VIEWER = ids.Reference("movielens", "1")
USER_ID = ids.internal("user", VIEWER)


def record(value: str, **changes) -> ContentRecord:
    reference = ids.Reference("movielens", value)
    facts = {"title": f"Title {value}", "content_type": "movie", "external_ids": (reference,)}
    return ContentRecord(content_id=ids.internal("content", reference), **(facts | changes))


def event(event_id: str, title: ContentRecord, kind: str = "view", at: datetime = NOW) -> Event:
    return Event(
        event_id=event_id,
        type=EventType(kind),
        user_id=USER_ID,
        user_ref=str(VIEWER),
        content_id=title.content_id,
        value=4.5 if kind == "rate" else None,
        occurred_at=at,
        received_at=NOW,
    )


async def test_content__stored_again_with_less__keeps_what_was_known(worker):
    full = record("1", year=1995, genres=("Comedy",), overview="Toys.", metadata={"a": 1})
    await content.upsert_content(worker, full)
    await content.upsert_content(worker, record("1", title="Toy Story", metadata={"b": 2}))
    found = await content.find_content(worker, ids.Reference("movielens", "1"))
    assert found == full.model_copy(update={"title": "Toy Story", "metadata": {"a": 1, "b": 2}})
    assert await content.find_content(worker, full.content_id) == found
    assert await content.find_content(worker, uuid.uuid4()) is None
    assert await content.find_content(worker, ids.Reference("imdb", "1")) is None


async def test_content__external_id_of_another_title__is_a_conflict_and_stores_nothing(worker):
    await content.upsert_content(worker, record("1"))
    thief = record("2", external_ids=(ids.Reference("movielens", "1"),))
    with pytest.raises(NexusError) as caught:
        await content.upsert_content(worker, thief)
    assert caught.value.category is Category.CONFLICT
    assert await content.find_content(worker, thief.content_id) is None


async def test_catalogue__pages__gives_every_title_once(worker):
    titles = [record(str(number)) for number in range(7)]
    for title in titles:
        await content.upsert_content(worker, title)
    rows = await content.load_catalogue(worker, page_rows=3)
    assert [row.content_id for row in rows] == sorted(title.content_id for title in titles)
    assert {row.popularity_score for row in rows} == {0.0}
    known = await content.resolve_content(worker, [ids.Reference("movielens", "3"), ids.Reference("x", "y")])
    assert known == {ids.Reference("movielens", "3"): ids.internal("content", ids.Reference("movielens", "3"))}


async def test_users__seen_twice__are_one_viewer(api):
    other = uuid.uuid4()
    for _ in range(2):
        await users.ensure_users(api, [(USER_ID, str(VIEWER)), (USER_ID, VIEWER), (other, other)])
    assert await users.find_user(api, VIEWER) == USER_ID
    assert await users.find_user(api, other) == other
    assert await users.find_user(api, ids.Reference("movielens", "2")) is None
    assert dict(await users.list_users(api)) == {USER_ID: (VIEWER,), other: ()}
    assert await users.resolve_users(api, [VIEWER]) == {VIEWER: USER_ID}


async def test_example_viewer__preferred_else_the_busiest_else_nobody(empty, api, worker):
    title, busy = record("1"), ids.Reference("jellyfin", "7")
    with connect(empty, "reader") as reader:
        assert users.example_viewer(reader, VIEWER) is None
        await content.upsert_content(worker, title)
        await users.ensure_users(api, [(USER_ID, busy), (uuid.uuid4(), uuid.uuid4())])
        await interactions.insert_interactions(api, [event("e1", title)])
        assert users.example_viewer(reader, VIEWER) == str(busy)
        await users.ensure_users(api, [(uuid.uuid4(), VIEWER)])
        assert users.example_viewer(reader, VIEWER) == str(VIEWER)


async def test_interactions__same_event_twice_even_at_another_time__counts_once(api, worker):
    title = record("1")
    await content.upsert_content(worker, title)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    first = event("e1", title, "rate")
    assert await interactions.insert_interactions(api, [first, first]) == 1
    late = event("e1", title, "rate", at=NOW + timedelta(days=40))
    assert await interactions.insert_interactions(api, [late, event("e2", title, at=NOW - timedelta(days=9_000))]) == 1
    found = await interactions.history(api, USER_ID, 10)
    expected = HistoryEntry(
        event_id="e1", type="rate", content_id=title.content_id, value=4.5, at_ms=epoch_ms(first.occurred_at)
    )
    assert [entry.event_id for entry in found] == ["e1", "e2"]
    assert found[0].member() == expected.member()
    assert await interactions.history(api, USER_ID, 1) == [expected]


async def test_interactions__unknown_title__stores_nothing_of_the_batch(api, worker):
    title = record("1")
    await content.upsert_content(worker, title)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await interactions.insert_interactions(api, [event("e1", title), event("e2", record("404"))])
    assert await interactions.insert_interactions(api, [event("e1", title)]) == 1


async def test_hidden__hide_and_unhide_in_any_order__newest_word_counts(api, worker):
    shown, shut = record("1"), record("2")
    for title in (shown, shut):
        await content.upsert_content(worker, title)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    later = NOW + timedelta(seconds=5)
    await interactions.insert_interactions(api, [event("e1", shown, "unhide", later), event("e2", shut, "hide")])
    await interactions.insert_interactions(api, [event("e3", shown, "hide")])
    assert await interactions.hidden(api, USER_ID) == {shut.content_id}


async def test_embeddings__nearest__orders_by_cosine_and_excludes(api, worker):
    titles = [record(str(number)) for number in range(4)]
    vectors = np.eye(4, embeddings.DIMENSIONS, dtype=np.float32) + 0.1 * np.arange(4, dtype=np.float32)[:, None]
    for title, vector in zip(titles, vectors, strict=True):
        await content.upsert_content(worker, title)
        await embeddings.upsert_embedding(worker, title.content_id, "m", vector / np.linalg.norm(vector), "h")
    probe = vectors[1] / np.linalg.norm(vectors[1])
    found = await embeddings.nearest(api, probe, 3, [titles[2].content_id], model="m")
    assert found[0][0] == titles[1].content_id
    assert found[0][1] == pytest.approx(1.0, abs=1e-5)
    assert titles[2].content_id not in dict(found)
    assert await embeddings.find_embedding(api, titles[1].content_id, "m") == pytest.approx(probe, abs=1e-6)
    with pytest.raises(NexusError, match="384"):
        await embeddings.nearest(api, probe[:5], 3)


async def test_recommendations__same_request_twice__stored_once(api, worker):
    title = record("1")
    await content.upsert_content(worker, title)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    row = recommendations.Recommendation(
        user_id=USER_ID, content_id=title.content_id, score=12.5, reasoning={"because": []}
    )
    facts = {"source": "champion", "algorithm_version": "3", "request_id": "r1"}
    assert await recommendations.save_recommendations(worker, [row], **facts) == 1
    assert await recommendations.save_recommendations(worker, [row], **facts) == 0
    (stored,) = await recommendations.latest_recommendations(api, USER_ID, 5)
    assert (stored.score, stored.source, stored.viewed) == (12.5, "champion", False)


async def test_history__rows_over_300_months_taken_over_from_the_default_partition__answers_within_ten_milliseconds(
    api, worker, owner
):
    title = record("1")
    await content.upsert_content(worker, title)
    await users.ensure_users(api, [(USER_ID, VIEWER)])
    events = [event(f"e{month}", title, at=NOW - timedelta(days=30 * month)) for month in range(300)]
    assert await interactions.insert_interactions(api, events) == 300
    owner.execute("select nexus_ai.ensure_interaction_partitions(now() - interval '27 years', now())")
    seconds = []
    for _ in range(30):
        started = time.perf_counter()
        assert len(await interactions.history(api, USER_ID, 100)) == 100
        seconds.append(time.perf_counter() - started)
    assert min(seconds[10:]) < 0.010
    waiting = owner.execute("select count(*) from nexus_ai.user_interactions_default").fetchone()
    assert waiting == (0,)
