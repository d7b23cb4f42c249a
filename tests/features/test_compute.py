"""Feature values, by hand, and that none of them looks ahead."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from features import compute, definitions, schema
from features.examples import examples
from nexus.lake.catalogue import declared

pytestmark = pytest.mark.unit
START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {
    "user_id": pl.String,
    "content_id": pl.String,
    "event_id": pl.String,
    "interaction_type": pl.String,
    "value": pl.Float64,
    "occurred_at": pl.Datetime("us", "UTC"),
    "source": pl.String,
}


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def interactions(*rows: tuple[str, str, float, float | None]) -> pl.DataFrame:
    """Rows of (viewer, title, day, rating or None for a view)."""
    return pl.DataFrame(
        [
            (viewer, title, f"e{number:03}", "view" if value is None else "rate", value, at(day), "test")
            for number, (viewer, title, day, value) in enumerate(rows)
        ],
        schema=SCHEMA,
        orient="row",
    )


rows = st.lists(
    st.tuples(
        st.sampled_from("uvw"),
        st.sampled_from("abcd"),
        st.integers(0, 12).map(lambda step: step * 30.0),
        st.sampled_from([None, 0.5, 3.0, 5.0]),
    ),
    min_size=1,
    max_size=40,
)


def test_viewer_features__three_moments__are_what_a_person_computes():
    frame = interactions(("v", "a", 0, 4.0), ("u", "a", 1, 2.0), ("u", "b", 1, None), ("u", "c", 4, 5.0))
    found = compute.viewer_features(frame).filter(pl.col("user_id") == "u").to_dicts()
    assert [row["event_timestamp"] for row in found] == [at(1), at(4)]
    assert [row["viewer_interactions"] for row in found] == [2, 3]
    assert [row["viewer_mean_value"] for row in found] == [2.0, 3.5]
    assert [row["viewer_rating_spread"] for row in found] == pytest.approx([0.0, 1.5 / 5])
    assert [row["viewer_tenure"] for row in found] == pytest.approx([0.0, math.log1p(3) / math.log1p(3650)])
    assert [row["viewer_pause"] for row in found] == pytest.approx([0.0, math.log1p(3) / math.log1p(365)])
    # a had one interaction before (the top has two by then); b and c had none
    first = math.log1p(1) / math.log1p(2) / 2
    assert [row["viewer_mainstream"] for row in found] == pytest.approx([first, first * 2 / 3])


def test_viewer_features__views_only__have_no_mean_and_neutral_context():
    (row,) = compute.viewer_features(interactions(("u", "a", 0, None))).to_dicts()
    assert row["viewer_mean_value"] is None
    assert (row["viewer_rating_level"], row["viewer_rating_spread"]) == (0.0, 0.0)


def test_title_features__window_of_90_days__forgets_what_is_older():
    frame = interactions(("u", "a", 0, 1.0), ("v", "a", 50, 3.0), ("w", "a", 120, None), ("u", "b", 120, 2.0))
    found = compute.title_features(frame).filter(pl.col("content_id") == "a").to_dicts()
    assert [row["title_interactions"] for row in found] == [1, 2, 3]
    assert [row["title_interactions_90d"] for row in found] == [1, 2, 2]
    assert [row["title_mean_value"] for row in found] == [1.0, 2.0, 2.0]
    assert [row["title_age_days"] for row in found] == [0.0, 50.0, 120.0]


@pytest.mark.parametrize("compute_features", [compute.viewer_features, compute.title_features])
@settings(max_examples=60, deadline=None)
@given(rows=rows, cut=st.integers(0, 12))
def test_features__whatever_happens_later__stay_the_same(compute_features, rows, cut):
    frame = interactions(*rows)
    early = frame.filter(pl.col("occurred_at") <= at(cut * 30.0))
    whole = compute_features(frame).filter(pl.col("event_timestamp") <= at(cut * 30.0))
    assert_frame_equal(whole, compute_features(early), check_row_order=False)


@settings(max_examples=60, deadline=None)
@given(rows=rows)
def test_examples__any_history__is_ordered_split_and_counts_only_what_came_before(rows):
    frame = interactions(*rows)
    found = examples(frame, compute.viewer_features(frame), compute.title_features(frame))
    assert found.height == frame.height
    for _, history in found.group_by("user_id"):
        own = history.sort("position")
        assert own["position"].to_list() == list(range(1, own.height + 1))
        assert own.select("occurred_at", "event_id").rows() == sorted(own.select("occurred_at", "event_id").rows())
        tail = ["validation", "test"] if own.height >= 3 else ["train"] * min(own.height, 2)
        assert own["split"].to_list()[-2:] == tail
        for row in own.iter_rows(named=True):
            before = own.filter(pl.col("occurred_at") < row["occurred_at"]).height
            assert (row["viewer_interactions"] or 0) == before
    for row in found.iter_rows(named=True):
        same = frame.filter((pl.col("content_id") == row["content_id"]) & (pl.col("occurred_at") < row["occurred_at"]))
        assert (row["title_interactions"] or 0) == same.height
        assert not any(row[name] is None for name in schema.CONTEXT_FEATURES)


def test_names__of_features__agree_with_the_tables_and_the_views():
    key_columns = 2
    assert tuple(declared("features_nexus__viewer").schema.names[key_columns:]) == schema.VIEWER_FEATURES
    assert tuple(declared("features_nexus__title").schema.names[key_columns:]) == schema.TITLE_FEATURES
    assert definitions.VIEWER.features == schema.VIEWER_FEATURES
    assert set(schema.CONTEXT_FEATURES) <= set(schema.VIEWER_FEATURES)
    frame = interactions(("u", "a", 0, 1.0))
    made = examples(frame, compute.viewer_features(frame), compute.title_features(frame))
    assert set(made.columns) == set(declared("training_nexus__examples").schema.names)
