"""Bulk: from the lake's shapes into Postgres and Redis, twice, and beside events of now."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import redis

from nexus import ids
from nexus.db import content, embeddings, interactions, publish, redis_history, users
from nexus.db.pool import connect
from nexus.errors import Category, NexusError
from nexus.events import (
    ACCEPT_SCRIPT,
    Event,
    EventType,
    HistoryEntry,
    accept_arguments,
    hidden_key,
    history_key,
    restored_key,
)

pytestmark = pytest.mark.integration
START = datetime(1996, 3, 1, tzinfo=UTC)
VIEWERS, TITLES = 5, 8


def user(number: int) -> str:
    return str(ids.internal("user", ids.Reference("movielens", str(number))))


def title(number: int) -> str:
    return str(ids.internal("content", ids.Reference("movielens", str(number))))


def lake_facts(extra: pl.DataFrame | None = None) -> publish.Facts:
    pairs = [(viewer, one) for viewer in range(VIEWERS) for one in range(TITLES) if (viewer + one) % 3]
    rows = pl.DataFrame(
        {
            "user_id": [user(viewer) for viewer, _ in pairs],
            "content_id": [title(one) for _, one in pairs],
            "event_id": [f"movielens:{viewer}:{one}" for viewer, one in pairs],
            "interaction_type": ["rate"] * len(pairs),
            "value": [0.5 + one / 2 for _, one in pairs],
            "occurred_at": [
                START + timedelta(days=40 * viewer, seconds=one, microseconds=999) for viewer, one in pairs
            ],
            "source": ["movielens"] * len(pairs),
        },
        schema_overrides={"occurred_at": pl.Datetime("us", "UTC")},
    )
    titles = pl.DataFrame(
        {
            "content_id": [title(one) for one in range(TITLES)],
            "title": [f'Title "{one}", or\nso' for one in range(TITLES)],
            "content_type": ["movie"] * TITLES,
            "year": [1990 + one if one else None for one in range(TITLES)],
            "genres": [["Drama", "Sci, Fi"] if one else [] for one in range(TITLES)],
            "overview": [None] * TITLES,
            "external_ids": [[{"issuer": "movielens", "value": str(one)}] for one in range(TITLES)],
            "source": ["movielens"] * TITLES,
        },
        schema_overrides={"overview": pl.String},
    )
    popularity = rows.group_by("content_id").agg(
        interactions=pl.len().cast(pl.Int64),
        interactions_90d=pl.len().cast(pl.Int64),
        mean_value=pl.col("value").mean(),
        popularity_score=pl.lit(0.5),
    )
    viewers = pl.DataFrame(
        {
            "user_id": [user(viewer) for viewer in range(VIEWERS)],
            "user_ref": [f"movielens:{viewer}" for viewer in range(VIEWERS)],
        }
    )
    return publish.Facts(viewers, titles, rows if extra is None else pl.concat([rows, extra]), popularity)


def snapshot(settings) -> dict:
    with connect(settings, "owner") as connection:
        tables = {
            name: connection.execute(f"select * from {name} order by 1, 2").fetchall()  # noqa: S608
            for name in (
                "nexus_core.users",
                "nexus_core.user_external_ids",
                "nexus_core.content",
                "nexus_core.content_external_ids",
                "nexus_ai.user_interactions",
                "nexus_ai.hidden_titles",
                "nexus_analytics.title_popularity",
                "nexus_analytics.daily_engagement",
            )
        }
    with redis.Redis.from_url(settings.redis.dsn()) as client:
        tables |= {
            key: sorted(client.smembers(key)) if b"hidden" in key else client.zrange(key, 0, -1, withscores=True)
            for key in sorted(client.keys("nexus:hi*"))
            if b"restored" not in key
        }
    return tables


def api_event(event_id: str, kind: str, one: int, at: datetime) -> Event:
    reference = ids.Reference("movielens", "0")
    return Event(
        event_id=event_id,
        type=EventType(kind),
        user_id=ids.internal("user", reference),
        user_ref=str(reference),
        content_id=uuid.UUID(title(one)),
        occurred_at=at,
        received_at=at,
    )


def test_publish__twice__the_second_time_changes_nothing(empty):
    first = publish.publish(empty, lake_facts())
    before = snapshot(empty)
    second = publish.publish(empty, lake_facts())
    assert first.interactions.written == first.interactions.rows == first.history.entries == first.history.new_entries
    assert first.titles.written == TITLES
    assert (second.viewers.written, second.titles.written, second.interactions.written) == (0, 0, 0)
    assert (second.popularity.written, second.history.new_entries) == (0, 0)
    assert snapshot(empty) == before
    assert len(before["nexus_core.user_external_ids"]) == VIEWERS


async def test_publish__events_that_the_lake_has_not_seen__stay(empty, api):
    publish.publish(empty, lake_facts())
    now = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    accepted = [
        api_event("a1", "view", 1, now),
        api_event("a2", "hide", 2, now),
        api_event("a3", "hide", 3, now),
        api_event("a4", "unhide", 3, now + timedelta(seconds=1)),
    ]
    with redis.Redis.from_url(empty.redis.dsn()) as client:
        client.register_script(ACCEPT_SCRIPT)(args=accept_arguments(accepted))
        await interactions.insert_interactions(api, accepted[:2])
        mine = snapshot(empty)[history_key(user(0)).encode()]
        publish.publish(empty, lake_facts())
        assert snapshot(empty)[history_key(user(0)).encode()] == mine
        assert client.smembers(hidden_key(user(0))) == {title(2).encode()}
        assert client.exists(restored_key(user(0)))


def test_publish__after_redis_was_emptied__history_and_hidden_titles_come_back(empty):
    hide = (
        lake_facts()
        .interactions.head(1)
        .with_columns(event_id=pl.lit("h"), interaction_type=pl.lit("hide"), value=pl.lit(None, dtype=pl.Float64))
    )
    publish.publish(empty, lake_facts(hide))
    before = snapshot(empty)
    with redis.Redis.from_url(empty.redis.dsn()) as client:
        client.flushdb()
    publish.publish(empty, lake_facts(hide))
    assert snapshot(empty) == before
    assert any(b"hidden" in key for key in before if isinstance(key, bytes))


def test_publish__rows_of_unknown_titles__are_counted_not_fatal(empty):
    stray = lake_facts().interactions.head(1).with_columns(event_id=pl.lit("s"), content_id=pl.lit(str(uuid.uuid4())))
    done = publish.publish(empty, lake_facts(stray))
    assert done.interactions.skipped == 1
    assert done.interactions.written == done.interactions.rows - 1


def test_publish__title_gone_from_the_statistics__leaves_popularity(empty, owner):
    publish.publish(empty, lake_facts())
    facts = lake_facts()
    publish.publish(empty, publish.Facts(facts.viewers, facts.titles, facts.interactions, facts.popularity.head(2)))
    assert owner.execute("select count(*) from nexus_analytics.title_popularity").fetchone() == (2,)


async def test_copy_content__title_of_the_api__is_not_overwritten_by_the_lake(empty, worker):
    own = content.ContentRecord(content_id=uuid.UUID(title(1)), title="New name", content_type="movie", year=2001)
    await content.upsert_content(worker, own)
    stale = lake_facts().titles.with_columns(source=pl.lit("nexus"))
    with connect(empty, "pipeline") as connection:
        content.copy_content(connection, stale)
    found = await content.find_content(worker, own.content_id)
    assert (found.title, found.year) == ("New name", 2001)
    assert (await content.find_content(worker, uuid.UUID(title(2)))).genres == ("Drama", "Sci, Fi")


def test_publish__redis_away__says_so(empty):
    away = empty.model_copy(
        update={"redis": empty.redis.model_copy(update={"url": type(empty.redis.url)("redis://127.0.0.1:1/0")})}
    )
    with pytest.raises(NexusError) as caught:
        publish.publish(away, lake_facts())
    assert caught.value.category is Category.UNAVAILABLE


def test_copy_embeddings__first_load_then_again__stores_once_and_keeps_the_index(empty, owner):
    count = 1_200
    references = [ids.Reference("movielens", str(number)) for number in range(count)]
    content_ids = sorted(str(ids.internal("content", reference)) for reference in references)
    vectors = np.random.default_rng(1).normal(size=(count, embeddings.DIMENSIONS)).astype(np.float32)
    owner.execute(
        "insert into nexus_core.content (id, title, content_type) select unnest(%s::uuid[]), 'T', 'movie'",
        (content_ids,),
    )
    with connect(empty, "pipeline") as connection:
        hashes = ["h"] * count
        assert len(embeddings.missing(connection, "m", list(zip(content_ids, hashes, strict=True)))) == count
        first = embeddings.copy_embeddings(connection, "m", content_ids, vectors, hashes)
        again = embeddings.copy_embeddings(connection, "m", [*content_ids[1:], str(uuid.uuid4())], vectors, hashes)
        assert embeddings.missing(connection, "m", list(zip(content_ids, hashes, strict=True))) == []
    assert (first.written, first.skipped, again.written, again.skipped) == (count, 0, 0, 1)
    assert owner.execute("select to_regclass('nexus_ai.embeddings_cosine') is not null").fetchone() == (True,)


@pytest.mark.parametrize("value", [None, 0.5, 5.0])
def test_entry_member__any_value__equals_the_models_bytes(value):
    entry = HistoryEntry(event_id='e"1', type="rate", content_id=uuid.uuid4(), value=value, at_ms=1_234)
    fast = redis_history.entry_member(entry.event_id, "rate", str(entry.content_id), value, 1_234)
    assert fast == entry.member()


def test_users__bulk_without_reference__has_no_external_id(empty, owner):
    frame = pl.DataFrame({"user_id": [str(uuid.uuid4())] * 2, "user_ref": [None, str(uuid.uuid4())]})
    with connect(empty, "pipeline") as connection:
        assert users.copy_users(connection, frame).written == 1
    assert owner.execute("select count(*) from nexus_core.user_external_ids").fetchone() == (0,)
