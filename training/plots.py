"""Pictures of a run, as PNG bytes.

Belongs here: figures for MLflow and for the asset graph. Does not belong here: what is measured.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

COLOURS = ("#3b6ea5", "#b5532a", "#5b8c5a")


def curves(parts: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """Loss and validation NDCG@10 by epoch of each trained part."""
    figure, (left, right) = panels(2)
    for colour, (name, points) in zip(COLOURS, parts.items(), strict=False):
        known = [point for point in points if point["loss"] == point["loss"]]
        style: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 3, "label": name}
        left.plot([point["epoch"] for point in known], [point["loss"] for point in known], **style)
        right.plot([point["epoch"] for point in points], [point["validation_ndcg_10"] for point in points], **style)
    left.set_title("training loss", fontsize=9)
    right.set_title("NDCG@10 on validation titles", fontsize=9)
    for axes in (left, right):
        axes.set_xlabel("epoch", fontsize=8)
        if parts:
            axes.legend(fontsize=7, frameon=False)
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


def by_length(found: Mapping[str, tuple[int, Mapping[str, tuple[float, float]]]]) -> bytes:
    """NDCG@10 of each candidate by how many titles its viewers had met (training.tables.by_length)."""
    figure, (axes,) = panels(1)
    names = list(next(iter(found.values()))[1]) if found else []
    for name in names:
        values = [figures[name][0] for _, figures in found.values()]
        axes.plot(list(found), values, marker="o", markersize=3, label=name)
    if names:
        axes.legend(fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("titles that the viewer had met", fontsize=8)
    axes.set_title("NDCG@10 on held-out titles", fontsize=9)
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
