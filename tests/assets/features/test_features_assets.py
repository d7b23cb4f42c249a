"""The assets of the layers features and serving, over a small lake and the real servers."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import dagster as dg
import numpy as np
import polars as pl
import pytest
import redis

from assets.features import online, publish, title, training_set, viewer
from assets.resources import with_settings
from features.online import ViewerFeatures
from features.schema import CONTEXT_FEATURES
from nexus import ids
from nexus.db.pool import connect
from nexus.events import history_key
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake

pytestmark = pytest.mark.integration
START = datetime(2024, 1, 1, tzinfo=UTC)
ASSETS = [
    viewer.features_nexus__viewer,
    title.features_nexus__title,
    online.feast_online__recommender,
    training_set.training_nexus__examples,
    publish.serving_nexus__facts,
]


def reference(kind: str, number: int) -> str:
    return str(ids.internal(kind, ids.Reference("feat", str(number))))


@pytest.fixture(scope="module")
def platform(settings, tmp_path_factory):
    """Settings whose lake has six viewers and ten titles."""
    own = settings.model_copy(
        update={"lake": settings.lake.model_copy(update={"url": str(tmp_path_factory.mktemp("lake"))})}
    )
    lake = Lake.from_settings(own)
    pairs = [(who, what) for who in range(6) for what in range(10) if (who * what) % 4 != 1]
    base = {
        "user_id": [reference("user", who) for who, _ in pairs],
        "content_id": [reference("content", what) for _, what in pairs],
        "event_id": [f"feat:{who}:{what}" for who, what in pairs],
        "interaction_type": ["rate"] * len(pairs),
        "value": [1.0 + what % 5 for _, what in pairs],
        "occurred_at": [START + timedelta(days=who + what) for who, what in pairs],
        "source": ["movielens"] * len(pairs),
    }
    rows = pl.DataFrame(base, schema_overrides={"occurred_at": pl.Datetime("us", "UTC")})
    write(lake, "marts_nexus__interactions", rows)
    write(
        lake,
        "core_movielens__ratings",
        rows.with_columns(
            user_ref=pl.Series([f"feat:{who}" for who, _ in pairs]),
            content_ref=pl.Series([f"feat:{what}" for _, what in pairs]),
            rating=pl.col("value"),
            rated_at=pl.col("occurred_at"),
            load_id=pl.lit("l"),
            line_number=pl.int_range(pl.len(), dtype=pl.Int64),
        ),
    )
    for empty in ("core_nexus__events", "core_loaded__interactions"):
        write(lake, empty, declared(empty).schema.empty_table())
    write(
        lake,
        "core_nexus__titles",
        pl.DataFrame(
            {
                "content_id": [reference("content", what) for what in range(10)],
                "title": [f"Title {what}" for what in range(10)],
                "content_type": ["movie"] * 10,
                "year": pl.Series([2000 + what for what in range(10)], dtype=pl.Int32),
                "genres": [["Drama"]] * 10,
                "overview": pl.Series([None] * 10, dtype=pl.String),
                "external_ids": [[{"issuer": "feat", "value": str(what)}] for what in range(10)],
                "source": ["movielens"] * 10,
                "updated_at": pl.Series([START] * 10, dtype=pl.Datetime("us", "UTC")),
            }
        ),
    )
    write(
        lake,
        "marts_nexus__title_stats",
        rows.group_by("content_id").agg(
            interactions=pl.len().cast(pl.Int64),
            viewers=pl.len().cast(pl.Int64),
            mean_value=pl.col("value").mean(),
            interactions_90d=pl.len().cast(pl.Int64),
            popularity_score=pl.lit(0.5),
            last_interaction_at=pl.col("occurred_at").max(),
            as_of=pl.col("occurred_at").max(),
        ),
    )
    return own


def write(lake: Lake, table: str, frame) -> None:
    lake.write(table, frame.select(declared(table).schema.names), mode="overwrite")


@pytest.fixture(scope="module")
def run(platform):
    result = dg.materialize(ASSETS, resources={"platform": with_settings(platform)})
    assert result.success
    return result


def metadata(run, asset: str) -> dict:
    (event,) = run.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_assets__of_features__write_the_tables_and_say_how_many_rows(run, platform):
    lake = Lake.from_settings(platform)
    for table in ("features_nexus__viewer", "features_nexus__title", "training_nexus__examples"):
        found = metadata(run, table)
        assert found["dagster/row_count"] == lake.read(table).num_rows > 0
        assert found["table_version"] == lake.version(table)
    assert metadata(run, "training_nexus__examples")["rows_test"] == 6
    assert metadata(run, "feast_online__recommender")["viewer_stats"] == 6


@pytest.mark.usefixtures("run")
def test_online__after_materialising__gives_each_viewers_newest_values(platform):
    newest = (
        pl.DataFrame(Lake.from_settings(platform).read("features_nexus__viewer"))
        .sort("event_timestamp")
        .unique("user_id", keep="last")
        .sort("user_id")
    )
    reader = ViewerFeatures(platform)
    found = reader.read_many(newest["user_id"].to_list())
    np.testing.assert_allclose(found, newest.select(CONTEXT_FEATURES).to_numpy(), rtol=1e-6)
    assert found.dtype == np.float32
    assert reader.read(newest["user_id"][0]).tolist() == found[0].tolist()
    assert not reader.read(uuid.uuid4()).any()
    named = asyncio.run(reader.read_named(uuid.UUID(newest["user_id"][0])))
    assert tuple(named) == CONTEXT_FEATURES


@pytest.mark.usefixtures("run")
def test_registry__after_applying__has_the_versioned_service(platform):
    from features.store import feature_store, release

    store = feature_store(platform)
    service = store.get_feature_service("recommender_v1")
    release(store)
    assert {view.name for view in service.feature_view_projections} == {"viewer_stats", "title_stats"}


def test_facts__after_publishing__are_in_postgres_and_redis(run, platform):
    found = metadata(run, "serving_nexus__facts")
    assert found["interactions/written"] == found["dagster/row_count"]
    assert found["history/entries"] >= found["dagster/row_count"]  # other tests' viewers in the same Redis are kept
    user_id = reference("user", 1)
    with connect(platform, "reader") as connection:
        (count,) = connection.execute(
            "select count(*) from nexus_ai.user_interactions where user_id = %s", (user_id,)
        ).fetchone()
    with redis.Redis.from_url(platform.redis.dsn()) as client:
        assert client.zcard(history_key(user_id)) == count > 0


@pytest.mark.usefixtures("run")
def test_assets__run_again__change_no_value(platform):
    lake = Lake.from_settings(platform)
    before = {table: lake.read(table) for table in ("features_nexus__viewer", "training_nexus__examples")}
    again = dg.materialize(ASSETS, resources={"platform": with_settings(platform)})
    facts = metadata(again, "serving_nexus__facts")
    assert (facts["interactions/written"], facts["titles/written"], facts["history/new_entries"]) == (0, 0, 0)
    for table, rows in before.items():
        key = list(declared(table).primary_key)
        assert pl.DataFrame(lake.read(table)).sort(key).equals(pl.DataFrame(rows).sort(key))
