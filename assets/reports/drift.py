"""Drift since the champion was trained, as a table over time and pictures.

Belongs here: thin asset and its warning. Does not belong here: figures and thresholds (training.drift).
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import described, result
from nexus.errors import Category, NexusError
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from training import bundle_format, drift

_TABLE = "reports_nexus__drift"
_EXAMPLES, _INTERACTIONS = "training_nexus__examples", "marts_nexus__interactions"
_COLUMNS = ("event_id", "user_id", "content_id", "interaction_type", "value", "occurred_at")


@dg.asset(**described(_TABLE, kinds=("deltalake", "polars")), deps=[_INTERACTIONS, "model_recommender__champion"])
def reports_nexus__drift(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Compare the interactions that came since with those that the champion was trained on."""
    settings, lake = platform.settings(), platform.lake()
    empty = declared(_TABLE).schema.empty_table()
    if not lake.exists(_TABLE):
        lake.write(_TABLE, empty, mode="append")
    try:
        manifest = bundle_format.read_champion(settings.bundle_url).manifest
        known, now = manifest.data_version or 0, lake.version(_INTERACTIONS) or 0
        found = drift.measure(_read(lake, _EXAMPLES, known), _read(lake, _INTERACTIONS, now))
    except NexusError as error:
        if error.category is not Category.NOT_FOUND:  # no champion yet, or its data was vacuumed away
            raise
        return result(lake, _TABLE, rows_written=0, more={"not_measured": error.message})
    measured_at = datetime.now(UTC)
    rows = [
        {
            "champion": manifest.version, "reference_version": known, "current_version": now, "metric": figure.metric,
            "value": figure.value, "threshold": figure.threshold, "is_over": figure.is_over,
            "reference_rows": found.reference_rows, "current_rows": found.current_rows,
            "protocol": figure.protocol, "measured_at": measured_at,
        }
        for figure in found.figures
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=pl.DataFrame(empty).schema)
    key = (f"drift:{manifest.version}:{known}", now)
    written = lake.write(_TABLE, frame, mode="append", key=key).rows
    more = {"champion": manifest.version, "figures": _table(found), "new_rows": found.current_rows}
    return result(lake, _TABLE, rows_written=written, more=more | _pictures(found))


@dg.asset_check(
    asset="reports_nexus__drift",
    name="no_drift",
    description="no figure of the newest measurement exceeds its threshold",
)
def no_drift(platform: PlatformResource) -> dg.AssetCheckResult:
    """Warn when what viewers do differs from what the champion learned."""
    rows = platform.lake().scan(_TABLE)
    newest = rows.filter(pl.col("measured_at") == pl.col("measured_at").max()).collect()
    over = newest.filter("is_over")
    return dg.AssetCheckResult(
        passed=over.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            row["metric"]: f"{row['value']:.3f} exceeds {row['threshold']:.3f}; {row['protocol']}"
            for row in over.iter_rows(named=True)
        },
    )


def _read(lake: Lake, table: str, version: int) -> pl.DataFrame:
    return pl.DataFrame(lake.read(table, version=version, columns=_COLUMNS))


def _table(found: drift.Drift) -> dg.MarkdownMetadataValue:
    if not found.figures:
        return dg.MetadataValue.md("nothing is new")
    lines = ["| metric | value | threshold | over | how |", "|---|---|---|---|---|"]
    for figure in found.figures:
        over = "yes" if figure.is_over else "no" if found.is_judged else f"under {drift.LEAST_ROWS} rows"
        lines.append(f"| {figure.metric} | {figure.value:.4f} | {figure.threshold:.4f} | {over} | {figure.protocol} |")
    return dg.MetadataValue.md("\n".join(lines))


def _pictures(found: drift.Drift) -> dict[str, dg.MarkdownMetadataValue]:
    if not found.comparisons:
        return {}
    picture = base64.b64encode(drift.pictures(found.comparisons)).decode()
    return {"distributions": dg.MetadataValue.md(f"![distributions](data:image/png;base64,{picture})")}
