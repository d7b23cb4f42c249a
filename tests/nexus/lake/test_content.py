"""The digest of a table's content: blind to order and layout, awake to every value."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from nexus.lake.content import content_hash

pytestmark = pytest.mark.unit
ROWS = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "n": [1, None, 3],
        "x": [0.5, float("nan"), -0.0],
        "tags": [["a", "bc"], [], None],
        "ids": [[{"issuer": "i", "value": None}], [], None],
    }
)
TYPES = [pl.Int32, pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Date, pl.Datetime("us", "UTC"), pl.List(pl.String)]


@given(frame=dataframes(allowed_dtypes=TYPES, max_cols=4, max_size=30), seed=st.integers(0, 99))
def test_content_hash__rows_and_columns_in_another_order__is_the_same(frame: pl.DataFrame, seed: int) -> None:
    if frame.width == 0:
        return
    turned = frame.sample(fraction=1, shuffle=True, seed=seed).select(reversed(frame.columns))
    assert content_hash(turned.lazy()) == content_hash(frame.lazy())
    assert content_hash(turned.lazy(), (frame.columns[-1],)) == content_hash(frame.lazy(), (frame.columns[-1],))


CHANGES = {
    "a_value": ROWS.with_columns(n=pl.Series([1, None, 4])),
    "a_null": ROWS.with_columns(n=pl.Series([1, 0, 3])),
    "a_null_elsewhere": ROWS.with_columns(n=pl.Series([1, 3, None])),
    "where_texts_part": ROWS.with_columns(tags=pl.Series([["ab", "c"], [], None])),
    "empty_for_null": ROWS.with_columns(tags=pl.Series([["a", "bc"], [], []])),
    "a_null_inside": ROWS.with_columns(ids=pl.Series([[{"issuer": "i", "value": ""}], [], None])),
    "sign_of_zero": ROWS.with_columns(x=pl.Series([0.5, float("nan"), 0.0])),
    "a_row_twice": pl.concat([ROWS, ROWS.head(1)]),
    "a_row_less": ROWS.head(2),
    "a_name": ROWS.rename({"n": "m"}),
    "a_type": ROWS.with_columns(pl.col("n").cast(pl.Int32)),
    "no_rows": ROWS.head(0),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_content_hash__anything_else__is_another(change: str) -> None:
    assert content_hash(CHANGES[change].lazy()) != content_hash(ROWS.lazy())


def test_content_hash__many_batches__does_not_depend_on_how_rows_arrive() -> None:
    many = pl.DataFrame({"id": range(150_000), "text": [None, "é", ""] * 50_000})
    parts = pl.concat([many.slice(100_000), many.slice(0, 1), many.slice(1, 99_999)], rechunk=False)
    assert content_hash(parts.lazy(), ("id",)) == content_hash(many.lazy(), ("id",))
    assert content_hash(many.lazy(), ("id",)) == content_hash(
        many.lazy().with_columns(pl.col("text").cast(pl.Categorical)), ("id",)
    )
