"""What serving reads online is what training saw offline, at the same instant, value by value; on real data and servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import polars as pl
import pytest

from features import compute, store
from features.asof import as_of_join
from features.definitions import CONTEXT_REFERENCES, TITLE, VIEWER, View
from features.examples import examples
from features.online import ViewerFeatures
from features.schema import CONTEXT_FEATURES, TIMESTAMP
from nexus.lake.lake import Lake
from nexus.settings import Settings
from serving.recommendations import context
from training import dataset

pytestmark = pytest.mark.integration
COMPUTED = {VIEWER.name: compute.viewer_features, TITLE.name: compute.title_features}
SHARES = (0.25, 0.7, 1.0)
"""Instants of the comparison: when so much of all that happened had happened."""


def online(feast: Any, view: View, ids: list[str]) -> pl.DataFrame:
    """Every feature of a view from the online store."""
    found = feast.get_online_features(
        features=[f"{view.name}:{name}" for name in view.features], entity_rows=[{view.key: one} for one in ids]
    ).to_dict()
    return pl.DataFrame({name: found[name] for name in (view.key, *view.features)}, strict=False)


def offline(rows: pl.DataFrame, view: View, ids: list[str], at: datetime) -> pl.DataFrame:
    """Every feature of a view as the lake's history says it was, the instant included."""
    wanted = pl.DataFrame({view.key: ids, "at": [at] * len(ids)}, schema_overrides={"at": pl.Datetime("us", "UTC")})
    joined = as_of_join(wanted, rows, on="at", by=view.key, strictly_before=False)
    return joined.select(view.key, *view.features)


@pytest.mark.parametrize("own_redis", [3], indirect=True)
@pytest.mark.usefixtures("own_redis")
def test_features__online_and_offline_at_the_same_instant__agree_for_everybody(
    interactions: pl.DataFrame, feast: Any
) -> None:
    whole = {view.name: COMPUTED[view.name](interactions) for view in (VIEWER, TITLE)}
    times = interactions["occurred_at"].sort()
    for share in SHARES:
        at = times[int((len(times) - 1) * share)]
        # Online knows what there was by then and nothing else; offline looks back from the end of the data.
        known = interactions.filter(pl.col("occurred_at") <= at)
        newest = {view.name: compute.latest(COMPUTED[view.name](known), view.key) for view in (VIEWER, TITLE)}
        store.publish(feast, newest, now=datetime.now(UTC))
        for view in (VIEWER, TITLE):
            everybody = interactions[view.key].unique().sort().to_list()
            served, trained = online(feast, view, everybody), offline(whole[view.name], view, everybody, at)
            assert served[view.features[0]].null_count() == len(everybody) - known[view.key].n_unique()
            assert served.cast(dict(trained.schema)).equals(trained), f"{view.name} at {at}"


@pytest.mark.parametrize("own_redis", [4], indirect=True)
def test_context__of_a_request_before_the_last_title__is_what_training_saw(
    interactions: pl.DataFrame, feast: Any, own_redis: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "WITHIN_S", 30.0)  # a loaded machine may take longer than a request waits
    viewers, titles = compute.viewer_features(interactions), compute.title_features(interactions)
    rows = examples(interactions, viewers, titles)
    catalogue = pl.DataFrame(
        {"content_id": rows["content_id"].unique()}, schema={"content_id": pl.String}
    ).with_columns(year=pl.lit(None, pl.Int32), genres=pl.lit(None, pl.List(pl.String)))
    trained = dataset.build(rows, catalogue, context_features=CONTEXT_FEATURES)
    last = interactions.group_by("user_id").agg(last=pl.col("occurred_at").max())
    before = viewers.join(last, on="user_id").filter(pl.col(TIMESTAMP) < pl.col("last")).drop("last")
    store.publish(feast, {VIEWER.name: compute.latest(before, VIEWER.key)}, now=datetime.now(UTC))

    async def ask() -> list[list[float]]:
        reader = context.Context(ViewerFeatures.from_settings(own_redis).read_named)
        return [await reader.of(UUID(viewer), CONTEXT_FEATURES) for viewer in trained.viewers]

    served = np.asarray(asyncio.run(ask()), dtype=np.float32)
    saw = np.stack([history.context[-1] for history in trained.histories])
    assert len(saw) == interactions["user_id"].n_unique()
    assert np.count_nonzero(saw) > len(saw)
    np.testing.assert_array_equal(served, saw)


@pytest.mark.parametrize("own_redis", [5], indirect=True)
def test_viewer_features__same_rows_as_the_sdk__are_equal(
    interactions: pl.DataFrame, feast: Any, own_redis: Settings
) -> None:
    newest = compute.latest(compute.viewer_features(interactions.head(5000)), VIEWER.key)
    store.publish(feast, {VIEWER.name: newest}, now=datetime.now(UTC))
    known = newest["user_id"].to_list()
    asked = [*known, str(uuid4()), known[0]]
    found = feast.get_online_features(
        features=list(CONTEXT_REFERENCES), entity_rows=[{VIEWER.key: one} for one in asked]
    ).to_dict()
    wanted = np.array([[value or 0.0 for value in found[name]] for name in CONTEXT_FEATURES], dtype=np.float32).T
    reader = ViewerFeatures.from_settings(own_redis)
    np.testing.assert_array_equal(reader.read_many(asked), wanted)
    np.testing.assert_array_equal(np.stack([reader.read(UUID(one)) for one in asked[-3:]]), wanted[-3:])
    assert reader.read_many([]).shape == (0, len(CONTEXT_FEATURES))
    assert not wanted[-2].any()


@pytest.mark.parametrize("own_redis", [6], indirect=True)
def test_as_of_join__and_feasts_own_offline_store__agree(
    interactions: pl.DataFrame, own_redis: Settings, tmp_path: Any
) -> None:
    own = own_redis.model_copy(update={"lake": own_redis.lake.model_copy(update={"url": str(tmp_path / "lake")})})
    some = interactions.filter(pl.col("user_id").is_in(interactions["user_id"].unique().sort()[:20].implode()))
    viewers = compute.viewer_features(some)
    Lake.from_settings(own).write(VIEWER.table, viewers, mode="overwrite")
    opened = store.feature_store(own)
    store.apply(opened, own)
    middle = some["occurred_at"].sort()[some.height // 2]
    asked = pl.DataFrame({"user_id": viewers["user_id"].unique().sort()}).with_columns(event_timestamp=pl.lit(middle))
    with store.quiet():
        theirs = opened.get_historical_features(
            entity_df=asked.to_pandas(), features=[f"{VIEWER.name}:{name}" for name in VIEWER.features]
        ).to_df()
    store.release(opened)
    ours = as_of_join(asked.rename({TIMESTAMP: "at"}), viewers, on="at", by="user_id", strictly_before=False)
    assert 0 < ours["viewer_interactions"].null_count() < ours.height
    # Feast's dask store leaves out whoever has no features yet.
    known = ours.filter(pl.col("viewer_interactions").is_not_null()).sort("user_id")
    got = pl.from_pandas(theirs).sort("user_id")
    assert got["user_id"].to_list() == known["user_id"].to_list()
    for name in VIEWER.features:
        np.testing.assert_array_equal(got[name].to_numpy(), known[name].to_numpy())
