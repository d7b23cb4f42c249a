"""Small pictures for the UI, as metadata.

Belongs here: Arrow table in, markdown picture out. Does not belong here: what to count.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa


def ratings_histogram(ratings: pa.Table) -> dg.MarkdownMetadataValue:
    """How often each rating was given."""
    counted = pl.DataFrame(ratings).group_by("rating").len().sort("rating")
    return _bars(counted["rating"].to_list(), counted["len"].to_list(), title="ratings by stars", width=0.4)


def interactions_by_month(daily: pa.Table) -> dg.MarkdownMetadataValue:
    """Interactions in each month."""
    months = pl.DataFrame(daily).group_by(pl.col("day").dt.truncate("1mo")).agg(pl.col("interactions").sum())
    months = months.sort("day")
    return _bars(months["day"].to_list(), months["interactions"].to_list(), title="interactions by month", width=25)


def over_time(series: Mapping[str, Sequence[tuple[Any, float]]]) -> dg.MarkdownMetadataValue:
    """One line per series; those that are 0 all the time are left out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, values in series.items():
        if any(value > 0 for _, value in values):
            axes.plot([at for at, _ in values], [value for _, value in values], marker="o", markersize=3, label=name)
    if axes.lines:
        axes.legend(fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.tick_params(axis="x", rotation=20)
    axes.set_ylim(bottom=0)
    return _markdown(figure, axes, "shares over time")


def _bars(x: Sequence[Any], y: Sequence[int], *, title: str, width: float) -> dg.MarkdownMetadataValue:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(x, y, width=width, color="#3b6ea5")
    return _markdown(figure, axes, title)


def _markdown(figure: Any, axes: Any, title: str) -> dg.MarkdownMetadataValue:
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{picture})")
