"""The as-of join never looks ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import as_of_join
from nexus.errors import NexusError

pytestmark = pytest.mark.unit
START = datetime(2026, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
points = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 20)), max_size=30)


def frame(pairs: list[tuple[str, int]], time: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [key for key, _ in pairs], time: [START + timedelta(seconds=second) for _, second in pairs]},
        schema={"id": pl.String, time: TIME},
    )


@settings(max_examples=150, deadline=None)
@given(examples=points, known=points, strictly=st.booleans())
def test_as_of_join__any_times__gives_the_newest_of_the_past(examples, known, strictly):
    known = list(dict.fromkeys(known))
    features = frame(known, "event_timestamp").with_columns(since=pl.col("event_timestamp"))
    wanted = frame(examples, "at")
    joined = as_of_join(wanted, features, on="at", by="id", strictly_before=strictly)
    assert joined.select("id", "at").equals(wanted)
    for (key, second), found in zip(examples, joined["since"].to_list(), strict=True):
        past = [when for who, when in known if who == key and (when < second or (when == second and not strictly))]
        assert found == (START + timedelta(seconds=max(past)) if past else None)


def test_as_of_join__example_without_a_time__is_refused():
    wanted = pl.DataFrame({"id": ["x"], "at": [None]}, schema={"id": pl.String, "at": TIME})
    with pytest.raises(NexusError, match="no time"):
        as_of_join(wanted, frame([], "event_timestamp"), on="at", by="id")
