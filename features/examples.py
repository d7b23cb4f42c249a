"""The training set: every interaction with what was known just before it.

Belongs here: order, positions, splits, which feature columns. Does not belong here: the join (features.asof), models.
"""

from __future__ import annotations

import polars as pl

from features.asof import as_of_join
from features.schema import CONTEXT_FEATURES, HISTORY_ORDER

MIN_HISTORY = 3
"""Viewers with fewer interactions are for training only: nothing would be left to learn from."""


def examples(interactions: pl.DataFrame, viewers: pl.DataFrame, titles: pl.DataFrame) -> pl.DataFrame:
    """One row per interaction, ordered by viewer, then by time and event id.

    Context features are 0 where nothing was known yet, as they are for a new viewer when serving.

    Args:
        interactions: In the shape of marts_nexus__interactions.
        viewers: In the shape of features_nexus__viewer.
        titles: In the shape of features_nexus__title.
    """
    ordered = interactions.drop("source").sort("user_id", *HISTORY_ORDER)
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("user_id")
    numbered = ordered.with_columns(position=position, history_length=pl.len().cast(pl.Int64).over("user_id"))
    left = pl.col("history_length") - pl.col("position")
    split = (
        pl.when(pl.col("history_length") < MIN_HISTORY)
        .then(pl.lit("train"))
        .when(left == 0)
        .then(pl.lit("test"))
        .when(left == 1)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
    )
    with_viewer = as_of_join(numbered.with_columns(split=split), viewers, on="occurred_at", by="user_id")
    joined = as_of_join(with_viewer, titles, on="occurred_at", by="content_id")
    return joined.with_columns(pl.col(*CONTEXT_FEATURES).fill_null(0.0))
