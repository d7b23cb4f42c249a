"""The real data set that the environment ships, as interactions, and a feature store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from features import store
from media.sources import dslabs
from nexus import ids
from nexus.settings import Settings


@pytest.fixture(scope="session")
def interactions() -> pl.DataFrame:
    """100,004 ratings of 671 viewers, in the shape of marts_nexus__interactions."""
    raw = dslabs._load()

    def internal(kind: str, references: Any) -> pl.Series:
        found = {
            number: str(ids.internal(kind, ids.Reference("movielens", str(number)))) for number in references.unique()
        }
        return pl.Series([found[number] for number in references])

    return pl.DataFrame(
        {
            "user_id": internal("user", raw["userId"]),
            "content_id": internal("content", raw["movieId"]),
            "event_id": [
                f"movielens:{user}:{title}" for user, title in zip(raw["userId"], raw["movieId"], strict=True)
            ],
            "interaction_type": ["rate"] * len(raw),
            "value": raw["rating"].astype(float).to_numpy(),
            "occurred_at": pl.Series(raw["timestamp"].to_numpy()).cast(pl.Int64) * 1_000_000,
            "source": ["movielens"] * len(raw),
        }
    ).with_columns(pl.col("occurred_at").cast(pl.Datetime("us", "UTC")))


@pytest.fixture
def own_redis(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings whose Redis database nobody else has; Feast never replaces a value by an older one."""
    import redis

    url = settings.redis.dsn().rpartition("/")[0] + f"/{request.param}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": SecretStr(url)})})


@pytest.fixture
def feast(own_redis: Settings) -> Iterator[Any]:
    """A feature store with the repository applied."""
    opened = store.feature_store(own_redis)
    store.apply(opened, own_redis)
    yield opened
    store.release(opened)
