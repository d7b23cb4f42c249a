"""Data quality over time: rows, nulls, duplicate keys, refused rows.

Belongs here: thin asset and its warning. Does not belong here: measuring (nexus.lake.quality), blocking checks (assets.checks).
"""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.plots import over_time
from assets.resources import PlatformResource
from assets.tables import described, result
from nexus.lake import quality

_TABLE = quality.REPORT
_MEASURES = ("null_share", "duplicate_share", "refused_share")
MAX_RISE = 0.05
"""A share that rose by more than this since the measurement before is worth a look; a choice of this house."""
_FROM = (
    "core_movielens__ratings",
    "core_nexus__events",
    "core_nexus__titles",
    "core_nexus__quarantine",
    "marts_nexus__interactions",
)


@dg.asset(**described(_TABLE, kinds=("deltalake", "polars")), deps=list(_FROM))
def reports_nexus__quality(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Measure every table that has a new version."""
    lake = platform.lake()
    written = lake.write(_TABLE, quality.measure(lake), mode="append").rows
    history = pl.DataFrame(lake.read(_TABLE))
    return result(
        lake, _TABLE, rows_written=written, more={"shares": over_time(_lines(history)), "worst": _worst(history)}
    )


@dg.asset_check(
    asset="reports_nexus__quality",
    name="no_worse",
    description=f"no share of nulls, duplicates or refused rows rose by more than {MAX_RISE:.0%} points at once",
)
def no_worse(platform: PlatformResource) -> dg.AssetCheckResult:
    """Warn when a table got worse between two measurements."""
    rises = risen(pl.DataFrame(platform.lake().read(_TABLE)))
    return dg.AssetCheckResult(
        passed=not rises,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: f"{before:.3f} -> {now:.3f}" for name, (before, now) in rises.items()},
    )


def risen(history: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Series whose newest value is much above the one before: name -> before and now."""
    found = {}
    for name, values in _lines(history).items():
        if len(values) > 1 and values[-1][1] - values[-2][1] > MAX_RISE:
            found[name] = (values[-2][1], values[-1][1])
    return found


def _lines(history: pl.DataFrame) -> dict[str, list[tuple[object, float]]]:
    """Shares by series, in order of time; a table's null share is that of its worst column."""
    shares = history.filter(pl.col("measure").is_in(_MEASURES))
    worst = shares.group_by("table_name", "measure", "table_version").agg(
        pl.col("value").max(), pl.col("measured_at").first()
    )
    found: dict[str, list[tuple[object, float]]] = {}
    for row in worst.sort("measured_at", "table_name").iter_rows(named=True):
        found.setdefault(f"{row['table_name']} {row['measure']}", []).append((row["measured_at"], row["value"]))
    return found


def _worst(history: pl.DataFrame) -> dg.MarkdownMetadataValue:
    series = {name: values[-1][1] for name, values in _lines(history).items() if values[-1][1] > 0}
    lines = ["| table and measure | newest |", "|---|---|"]
    lines += [f"| {name} | {value:.4f} |" for name, value in sorted(series.items(), key=lambda item: -item[1])[:20]]
    return dg.MetadataValue.md("\n".join(lines))
