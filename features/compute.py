"""Feature values over time, from interactions.

Each row says what was known from a moment on, the events of that very moment included; it never looks ahead. Who
joins them to an example takes rows strictly before it (features.asof).
Does not belong here: reading and writing tables, Feast.
"""

from __future__ import annotations

import math
from typing import Final

import polars as pl

from features.schema import TIMESTAMP, TITLE_FEATURES, VIEWER_FEATURES

_TOP_ACTIVITY: Final = math.log1p(1_000)
_TOP_TENURE: Final = math.log1p(3_650)
_TOP_PAUSE: Final = math.log1p(365)
_MAX_RATING: Final = 5.0
_US_PER_DAY: Final = 86_400_000_000


def title_features(interactions: pl.DataFrame) -> pl.DataFrame:
    """Features of each title at each moment at which something happened with it.

    Args:
        interactions: In the shape of marts_nexus__interactions.
    """
    moments = _moments(interactions, "content_id")
    age = pl.col(TIMESTAMP) - pl.col(TIMESTAMP).first().over("content_id")
    return moments.with_columns(
        title_interactions=pl.col("events").cum_sum().over("content_id"),
        title_interactions_90d=pl.col("events").rolling_sum_by(TIMESTAMP, window_size="90d").over("content_id"),
        title_mean_value=_running_mean("content_id"),
        title_age_days=_days(age),
    ).select("content_id", TIMESTAMP, *TITLE_FEATURES)


def viewer_features(interactions: pl.DataFrame) -> pl.DataFrame:
    """Features of each viewer at each moment at which they did something.

    Args:
        interactions: In the shape of marts_nexus__interactions.
    """
    moments = _moments(interactions.with_columns(_popularity(interactions)), "user_id", pl.col("popularity").sum())
    count = pl.col("events").cum_sum().over("user_id")
    mean = _running_mean("user_id")
    squares = pl.col("squares").cum_sum().over("user_id") / pl.col("ratings").cum_sum().over("user_id")
    spread = pl.when(mean.is_not_nan()).then((squares - mean**2).clip(0.0).sqrt())
    tenure = pl.col(TIMESTAMP) - pl.col(TIMESTAMP).first().over("user_id")
    pause = pl.col(TIMESTAMP).diff().over("user_id")
    return moments.with_columns(
        viewer_interactions=count,
        viewer_mean_value=mean,
        viewer_activity=count.cast(pl.Float64).log1p() / _TOP_ACTIVITY,
        viewer_rating_level=(mean / _MAX_RATING).fill_null(0.0),
        viewer_rating_spread=(spread / _MAX_RATING).fill_null(0.0),
        viewer_tenure=_days(tenure).log1p() / _TOP_TENURE,
        viewer_pause=_days(pause).fill_null(0.0).log1p() / _TOP_PAUSE,
        viewer_mainstream=pl.col("popularity").cum_sum().over("user_id") / count,
    ).select("user_id", TIMESTAMP, *VIEWER_FEATURES)


def latest(features: pl.DataFrame, by: str) -> pl.DataFrame:
    """The newest row of each entity."""
    return features.sort(by, TIMESTAMP).unique(by, keep="last", maintain_order=True)


def _moments(interactions: pl.DataFrame, by: str, *more: pl.Expr) -> pl.DataFrame:
    """One row per entity and moment: how many events, how many ratings, their sum and sum of squares; in order."""
    rating = pl.when(pl.col("interaction_type") == "rate").then(pl.col("value"))
    return (
        interactions.rename({"occurred_at": TIMESTAMP})
        # Sums of floating-point numbers depend on their order: one order for all, whatever order the rows come in.
        .sort(by, TIMESTAMP, "content_id", "interaction_type", "value")
        .group_by(by, TIMESTAMP)
        .agg(
            *more,
            events=pl.len().cast(pl.Int64),
            ratings=rating.is_not_null().sum().cast(pl.Int64),
            total=rating.sum(),
            squares=(rating**2).sum(),
        )
        .sort(by, TIMESTAMP)
    )


def _running_mean(by: str) -> pl.Expr:
    ratings = pl.col("ratings").cum_sum().over(by)
    return pl.when(ratings > 0).then(pl.col("total").cum_sum().over(by) / ratings)


def _popularity(interactions: pl.DataFrame) -> pl.Series:
    """How popular each interaction's title was just before it, over the most popular one by then: 0 to 1."""
    counts = (
        interactions.group_by("content_id", "occurred_at")
        .agg(now=pl.len())
        .sort("occurred_at", "content_id")
        .with_columns(so_far=pl.col("now").cum_sum().over("content_id"))
    )
    top = counts.group_by("occurred_at").agg(top=pl.col("so_far").max()).sort("occurred_at")
    top = top.with_columns(pl.col("top").cum_max())
    joined = interactions.join(counts, on=["content_id", "occurred_at"], how="left", maintain_order="left").join(
        top, on="occurred_at", how="left", maintain_order="left"
    )
    before = (pl.col("so_far") - pl.col("now")).cast(pl.Float64)
    return joined.select((before.log1p() / pl.col("top").cast(pl.Float64).log1p()).alias("popularity"))["popularity"]


def _days(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds().cast(pl.Float64) / _US_PER_DAY
