"""The as-of join: agrees with a slow and plain oracle, and never looks ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import as_of_join
from nexus.errors import NexusError

pytestmark = pytest.mark.unit
START = datetime(2026, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
KEYS = st.sampled_from(["x", "y", "z", None])
# Few instants, so that equal times, duplicates and every order of rows are common; some centuries away.
SECONDS = st.one_of(st.integers(0, 6), st.sampled_from([-(10**10), 10**10]))
Row = tuple[str | None, int | None]


def frame(rows: list[Row], time: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [key for key, _ in rows],
            time: [None if at is None else START + timedelta(seconds=at) for _, at in rows],
        },
        schema={"id": pl.String, time: TIME},
    )


def known(rows: list[Row]) -> pl.DataFrame:
    """Feature rows whose value is their number, with a second column of another type."""
    return frame(rows, "event_timestamp").with_columns(
        value=pl.int_range(pl.len(), dtype=pl.Int64), word=pl.format("row {}", pl.int_range(pl.len()))
    )


def oracle(examples: list[Row], rows: list[Row], strictly: bool) -> list[int | None]:
    """Number of the newest row of the past; of equal times the last row."""
    found: list[int | None] = []
    for key, at in examples:
        past = [
            (when, number)
            for number, (who, when) in enumerate(rows)
            if key is not None and who == key and when is not None and at is not None
            if (when < at if strictly else when <= at)
        ]
        found.append(max(past)[1] if past else None)
    return found


@settings(max_examples=400, deadline=None)
@given(
    examples=st.lists(st.tuples(KEYS, SECONDS), max_size=25),
    rows=st.lists(st.tuples(KEYS, st.one_of(st.none(), SECONDS)), max_size=25),
    strictly=st.booleans(),
    is_sorted=st.booleans(),
)
def test_as_of_join__any_rows_in_any_order__agrees_with_the_oracle(
    examples: list[Row], rows: list[Row], strictly: bool, is_sorted: bool
) -> None:
    if is_sorted:
        examples = sorted(examples, key=lambda row: row[1] or 0)
        rows = sorted(rows, key=lambda row: -(10**11) if row[1] is None else row[1])
    wanted = frame(examples, "at")
    joined = as_of_join(wanted, known(rows), on="at", by="id", strictly_before=strictly)
    numbers = oracle(examples, rows, strictly)
    assert joined.select("id", "at").equals(wanted)
    assert joined["value"].to_list() == numbers
    assert joined["word"].to_list() == [None if number is None else f"row {number}" for number in numbers]


@settings(max_examples=200, deadline=None)
@given(
    examples=st.lists(st.tuples(KEYS, SECONDS), min_size=1, max_size=15),
    rows=st.lists(st.tuples(KEYS, SECONDS), max_size=20),
    later=st.lists(st.tuples(KEYS, st.integers(0, 1000)), max_size=20),
    strictly=st.booleans(),
)
def test_as_of_join__rows_that_become_known_later__change_nothing(
    examples: list[Row], rows: list[Row], later: list[Row], strictly: bool
) -> None:
    newest = max(at for _, at in examples if at is not None)
    future = [(key, newest + at + (not strictly)) for key, at in later if at is not None]
    wanted = frame(examples, "at")
    before = as_of_join(wanted, known(rows), on="at", by="id", strictly_before=strictly)
    after = as_of_join(wanted, known([*rows, *future]), on="at", by="id", strictly_before=strictly)
    assert after.equals(before)


@settings(max_examples=100, deadline=None)
@given(
    examples=st.lists(st.tuples(KEYS, SECONDS), max_size=15),
    rows=st.lists(st.tuples(KEYS, SECONDS), unique=True, max_size=20),
    data=st.data(),
)
def test_as_of_join__feature_rows_shuffled__gives_the_same(examples: list[Row], rows: list[Row], data: Any) -> None:
    features, wanted = known(rows), frame(examples, "at")
    shuffled = features[data.draw(st.permutations(range(features.height)))] if rows else features
    assert as_of_join(wanted, shuffled, on="at", by="id").equals(as_of_join(wanted, features, on="at", by="id"))


def test_as_of_join__example_without_a_time__is_refused() -> None:
    with pytest.raises(NexusError, match="no time"):
        as_of_join(frame([("x", None)], "at"), known([]), on="at", by="id")


@pytest.mark.parametrize(
    ("examples", "field"),
    [
        (frame([("x", 1)], "at").with_columns(pl.col("at").dt.cast_time_unit("ms")), "at"),
        (frame([("x", 1)], "at").with_columns(pl.col("at").dt.replace_time_zone(None)), "at"),
        (frame([("x", 1)], "at").with_columns(id=pl.lit(7)), "id"),
        (frame([("x", 1)], "at").with_columns(value=pl.lit(7)), "value"),
    ],
    ids=["milliseconds", "no zone", "other ids", "a feature's name"],
)
def test_as_of_join__sides_that_do_not_fit__are_refused_by_name(examples: pl.DataFrame, field: str) -> None:
    with pytest.raises(NexusError) as caught:
        as_of_join(examples, known([("x", 0)]), on="at", by="id")
    assert caught.value.field == field
