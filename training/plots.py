"""Pictures of a run, as PNG bytes.

Belongs here: figures for MLflow and for the asset graph. Does not belong here: what is measured.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any


def curves(points: Sequence[Mapping[str, float]]) -> bytes:
    """Loss and validation NDCG@10 by epoch."""
    figure, (left, right) = panels(2)
    epochs = [point["epoch"] for point in points]
    left.plot(epochs[1:], [point["loss"] for point in points][1:], color="#3b6ea5", marker="o", markersize=3)
    left.set_title("training loss", fontsize=9)
    right.plot(epochs, [point["validation_ndcg_10"] for point in points], color="#b5532a", marker="o", markersize=3)
    right.set_title("NDCG@10 on validation titles", fontsize=9)
    for axes in (left, right):
        axes.set_xlabel("epoch", fontsize=8)
    return png(figure)


def comparison(table: Mapping[str, Mapping[str, float]], metric: str = "ndcg_10") -> bytes:
    """One bar for each candidate."""
    figure, (axes,) = panels(1)
    names = sorted(table, key=lambda name: table[name][metric])
    bars = axes.barh(names, [table[name][metric] for name in names], color="#3b6ea5", height=0.6)
    axes.bar_label(bars, fmt="%.4f", fontsize=8, padding=3)
    axes.margins(x=0.15)
    axes.set_title(f"{metric} on held-out titles", fontsize=9)
    return png(figure)


def panels(columns: int) -> tuple[Any, Sequence[Any]]:
    """A figure with so many panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * columns, 2.6), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.tick_params(labelsize=8)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png(figure: Any) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
