"""Drift: the interactions that came since the champion was trained, against those that it was trained on.

Belongs here: the figures, their thresholds, the words that say how they were obtained. Does not belong here: reading
tables, what follows of a drift (nothing by itself: the gate decides about models by their results).

Thresholds. PSI: 0.25, what credit scoring calls a major shift (Siddiqi, Credit Risk Scorecards, 2006), but never less than the
95 % quantile of PSI between two samples of the same distribution, chi-squared with bins - 1 degrees of freedom times 1/n + 1/m
(Yurdakul and Naranjo, Statistical properties of the population stability index, 2020): small samples differ by chance. KS: 0.1,
but never less than the critical value at 1 % (Kolmogorov-Smirnov, two samples). Shares of what is new: 0.25, a choice of this house.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

PSI_LIMIT, KS_LIMIT, SHARE_LIMIT = 0.25, 0.1, 0.25
CONFIDENCE = 0.95
KS_ALPHA = 0.01
LEAST_ROWS = 100
"""New rows below which nothing is judged."""
_VALUE_EDGES = np.arange(0.75, 5.0, 0.5)
"""Between the half stars 0.5, 1.0, ... 5.0."""
_POPULARITY_STEPS = (0.01, 0.05, 0.2, 1.0)
"""Titles by rank among those that the champion knows: the first 1 %, the next 4 %, the next 15 %, the rest."""
_EMPTY = 0.5
"""Counted for an empty bin, so that its logarithm exists."""

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison."""

    metric: str
    value: float
    threshold: float
    protocol: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Counts of one quantity by bin, for a picture."""

    title: str
    labels: tuple[str, ...]
    reference: Counts
    current: Counts


@dataclass(frozen=True, slots=True)
class Drift:
    """All figures of one measurement."""

    figures: tuple[Figure, ...]
    comparisons: tuple[Comparison, ...]
    reference_rows: int
    current_rows: int

    @property
    def is_judged(self) -> bool:
        """Whether there are enough new rows for a verdict."""
        return self.current_rows >= LEAST_ROWS

    @property
    def over(self) -> tuple[Figure, ...]:
        """What exceeds its threshold."""
        return tuple(figure for figure in self.figures if figure.is_over)


def measure(reference: pl.DataFrame, interactions: pl.DataFrame) -> Drift:
    """Compare.

    Args:
        reference: What the champion was trained on: ``event_id``, ``user_id``, ``content_id``, ``interaction_type``,
            ``value``, ``occurred_at``.
        interactions: What is there now, the same columns.
    """
    new = interactions.join(reference.select("event_id"), on="event_id", how="anti")
    if reference.is_empty() or new.is_empty():
        return Drift((), (), reference.height, new.height)
    is_judged = new.height >= LEAST_ROWS
    compared = [_values(reference, new), *_activity(reference, new), _popularity(reference, new)]
    figures = [_psi_figure(name, one, is_judged) for name, one in compared if one is not None]
    ks = _ks(reference, new, is_judged)
    shares = [
        _share(new, reference, key, name, is_judged) for key, name in (("content_id", "titles"), ("user_id", "viewers"))
    ]
    return Drift(
        (*figures, *([ks] if ks else []), *shares),
        tuple(one for _, one in compared if one is not None),
        reference.height,
        new.height,
    )


def psi(reference: Counts, current: Counts) -> float:
    """Population stability index of two counts over the same bins; an empty bin counts as half a row."""
    expected, actual = (np.where(counts > 0, counts, _EMPTY) for counts in (reference, current))
    expected, actual = expected / expected.sum(), actual / actual.sum()
    return float(((actual - expected) * np.log(actual / expected)).sum())


def psi_threshold(bins: int, reference_rows: float, current_rows: float) -> float:
    """The conventional limit, or what chance alone exceeds once in twenty times, whichever is larger."""
    by_chance = stats.chi2.ppf(CONFIDENCE, max(bins - 1, 1)) * (1 / reference_rows + 1 / current_rows)
    return float(max(PSI_LIMIT, by_chance))


def ks_threshold(reference_rows: int, current_rows: int) -> float:
    """The least difference that matters, or the critical value at 1 %, whichever is larger."""
    critical = np.sqrt(-np.log(KS_ALPHA / 2) / 2 * (reference_rows + current_rows) / (reference_rows * current_rows))
    return float(max(KS_LIMIT, critical))


def _psi_figure(metric: str, compared: Comparison, is_judged: bool) -> Figure:
    reference, current = compared.reference, compared.current
    value, threshold = psi(reference, current), psi_threshold(len(reference), reference.sum(), current.sum())
    words = (
        f"PSI of {compared.title} over {len(reference)} bins, empty bins as {_EMPTY}; threshold max({PSI_LIMIT} (Siddiqi 2006), "
        f"{CONFIDENCE:.0%} quantile under no drift (Yurdakul and Naranjo 2020)); {reference.sum():.0f} against {current.sum():.0f}"
    )
    return Figure(metric, value, threshold, words, is_judged and value > threshold)


def _ratings(rows: pl.DataFrame) -> npt.NDArray[np.float64]:
    rated = rows.filter((pl.col("interaction_type") == "rate") & pl.col("value").is_not_null())
    return rated["value"].to_numpy()


def _values(reference: pl.DataFrame, new: pl.DataFrame) -> tuple[str, Comparison | None]:
    old, current = _ratings(reference), _ratings(new)
    if not len(old) or not len(current):
        return "rating_psi", None
    labels = tuple(f"{half / 2:g}" for half in range(1, 11))
    return "rating_psi", Comparison("ratings by half star", labels, *(_binned(x, _VALUE_EDGES) for x in (old, current)))


def _activity(reference: pl.DataFrame, new: pl.DataFrame) -> list[tuple[str, Comparison | None]]:
    """Interactions per viewer (title) and day on which it was active: the same whatever span of time the rows cover."""
    found: list[tuple[str, Comparison | None]] = []
    for key, name in (("user_id", "viewer"), ("content_id", "title")):
        old, current = (_per_active_day(rows, key) for rows in (reference, new))
        edges = np.unique(np.quantile(old, np.arange(0.1, 1.0, 0.1)))
        labels = (*(f"<= {edge:.3g}" for edge in edges), f"> {edges[-1]:.3g}")
        # Bins are closed above, so that a whole number that is an edge (most titles: 1) stays below it.
        counts = (np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1) for x in (old, current))
        title = f"interactions per {name} and active day"
        found.append((f"{name}_activity_psi", Comparison(title, labels, *(one.astype(np.float64) for one in counts))))
    return found


def _per_active_day(rows: pl.DataFrame, key: str) -> npt.NDArray[np.float64]:
    per = rows.group_by(key).agg(pl.len().alias("rows"), pl.col("occurred_at").dt.date().n_unique().alias("days"))
    return (per["rows"] / per["days"]).to_numpy()


def _popularity(reference: pl.DataFrame, new: pl.DataFrame) -> tuple[str, Comparison | None]:
    """Where attention goes: interactions by the rank of their title among those that the champion knows."""
    ranked = reference.group_by("content_id").len().sort("len", "content_id", descending=[True, False])
    ranked = ranked.with_row_index("rank").select("content_id", rank=(pl.col("rank") + 1) / ranked.height)
    # Not upper bounds of _binned: a rank belongs to the first step that it does not exceed.
    steps = np.array(_POPULARITY_STEPS[:-1])

    def counted(rows: pl.DataFrame) -> Counts:
        ranks = rows.join(ranked, on="content_id", how="inner")["rank"].to_numpy()
        return np.bincount(np.searchsorted(steps, ranks, side="left"), minlength=len(_POPULARITY_STEPS)).astype(
            np.float64
        )

    old, current = counted(reference), counted(new)
    if not current.sum():
        return "popularity_psi", None
    labels = tuple(f"to {step:.0%}" for step in _POPULARITY_STEPS)
    return "popularity_psi", Comparison("interactions by rank of their title", labels, old, current)


def _ks(reference: pl.DataFrame, new: pl.DataFrame, is_judged: bool) -> Figure | None:
    old, current = _ratings(reference), _ratings(new)
    if not len(old) or not len(current):
        return None
    value, threshold = float(stats.ks_2samp(old, current).statistic), ks_threshold(len(old), len(current))
    words = f"two-sample KS statistic of ratings; threshold max({KS_LIMIT}, critical value at {KS_ALPHA:.0%}); {len(old)} against {len(current)}"
    return Figure("rating_ks", value, threshold, words, is_judged and value > threshold)


def _share(new: pl.DataFrame, reference: pl.DataFrame, key: str, name: str, is_judged: bool) -> Figure:
    known = reference.select(key).unique()
    value = new.join(known, on=key, how="anti").height / new.height
    words = f"share of new interactions with {name} that the champion never met; threshold {SHARE_LIMIT}, a choice of this house"
    return Figure(f"new_{name}_share", value, SHARE_LIMIT, words, is_judged and value > SHARE_LIMIT)


def _binned(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> Counts:
    return np.bincount(np.digitize(values, edges), minlength=len(edges) + 1).astype(np.float64)


def pictures(comparisons: Sequence[Comparison]) -> bytes:
    """One panel per comparison: shares of the bins, what the champion knows beside what is new."""
    from training import plots

    figure, panels = plots.panels(len(comparisons))
    for axes, one in zip(panels, comparisons, strict=True):
        _panel(axes, one)
    return plots.png(figure)


def _panel(axes: Any, one: Comparison) -> None:
    place = np.arange(len(one.labels))
    for shift, counts, colour, label in (
        (-0.2, one.reference, "#3b6ea5", "champion's data"),
        (0.2, one.current, "#b5532a", "since then"),
    ):
        axes.bar(place + shift, counts / max(counts.sum(), 1), width=0.4, color=colour, label=label)
    axes.set_xticks(place, one.labels, rotation=60)
    axes.set_title(one.title, fontsize=9)
    axes.legend(fontsize=7, frameon=False)
