"""How good the data is: rows, nulls, duplicate keys of each table, and the share of each source that is refused.

Belongs here: measuring tables. Does not belong here: what may not be at all (assets.checks; those block), drift.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from nexus.lake.catalogue import TABLES, declared
from nexus.lake.lake import Lake

REPORT = "reports_nexus__quality"
QUARANTINE = "core_nexus__quarantine"
SOURCES = {
    "movielens.ratings": "raw_movielens__ratings",
    "movielens.titles": "raw_movielens__titles",
    "table.interactions": "raw_table__interactions",
    "table.titles": "raw_table__titles",
    "jellyfin.interactions": "raw_jellyfin__interactions",
    "jellyfin.titles": "raw_jellyfin__titles",
    "nexus.events": "raw_nexus__events",
    "nexus.titles": "raw_nexus__titles",
}
"""Name of a source in quarantine -> its raw table."""
MEASURED = ("raw", "core", "marts", "features", "training")


def measure(lake: Lake, *, now: datetime | None = None) -> pl.DataFrame:
    """Rows of the report for every table version that was not measured yet."""
    at = now or datetime.now(UTC)
    known = known_versions(lake)
    rows: list[dict[str, Any]] = []
    for name, table in TABLES.items():
        version = lake.version(name) if table.layer in MEASURED else None
        if version is not None and known.get(name) != version:
            rows += [{"table_name": name, "table_version": version, **row} for row in of_table(lake, name, version)]
    version = lake.version(QUARANTINE)
    if version is not None:
        rows += [
            {
                "table_name": source,
                "table_version": version,
                "measure": "refused_share",
                "column_name": "",
                "value": share,
            }
            for source, share in refused_shares(lake, version).items()
            if known.get(source) != version
        ]
    schema = pl.DataFrame(declared(REPORT).schema.empty_table()).schema
    return pl.DataFrame([row | {"measured_at": at} for row in rows], schema=schema)


def of_table(lake: Lake, name: str, version: int) -> Iterable[dict[str, Any]]:
    """Rows, share of nulls in each column that may have some, share of rows whose key another row has."""
    table, rows = declared(name), lake.scan(name, version)
    optional = [field.name for field in table.schema if field.nullable]
    key = pl.struct(table.primary_key).n_unique() if table.primary_key else pl.len()
    counted = rows.select(
        pl.len().alias("rows"),
        key.alias("keys"),
        *(pl.col(column).null_count().alias(f"null:{column}") for column in optional),
    )
    found = counted.collect().row(0, named=True)
    count = found["rows"]
    yield _row("rows", count)
    if table.primary_key:
        yield _row("duplicate_share", (count - found["keys"]) / max(count, 1))
    for column in optional:
        yield _row("null_share", found[f"null:{column}"] / max(count, 1), column)


def refused_shares(lake: Lake, version: int | None = None) -> dict[str, float]:
    """Source -> refused rows over all its rows."""
    refused = dict(lake.scan(QUARANTINE, version).group_by("source").len().collect().iter_rows())
    return {
        source: refused.get(source, 0) / max(lake.count(raw), 1) for source, raw in SOURCES.items() if lake.exists(raw)
    }


def known_versions(lake: Lake) -> dict[str, int]:
    """Table (or source) -> newest version that was measured."""
    if not lake.exists(REPORT):
        return {}
    newest = lake.scan(REPORT).group_by("table_name").agg(pl.col("table_version").max()).collect()
    return dict(newest.iter_rows())


def _row(measure_name: str, value: float, column: str = "") -> dict[str, Any]:
    return {"measure": measure_name, "column_name": column, "value": float(value)}
