"""Checks of tables: generated from the catalogue (blocking), and a few of the business (warnings).

Belongs here: comparisons of what is stored with what was declared, as structured facts. Does not belong here: the
declarations (nexus.lake.tables), guards before a write (nexus.lake.guard).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa

from assets.resources import PlatformResource
from nexus.lake.catalogue import TABLES
from nexus.lake.guard import plain
from nexus.lake.lake import Lake
from nexus.lake.quality import refused_shares
from nexus.lake.table import Table

MAX_QUARANTINE_SHARE = 0.05


def generated(assets: Iterable[Any]) -> list[dg.AssetChecksDefinition]:
    """Two blocking checks for every asset that is a declared table, and the business checks of assets that are here."""
    names = sorted({key.to_user_string() for asset in assets for key in getattr(asset, "keys", ())} & set(TABLES))
    business = [quarantine_share] if "core_nexus__quarantine" in names else []
    return [*(_of_table(TABLES[name]) for name in names), *business]


def _of_table(table: Table) -> dg.AssetChecksDefinition:
    asset = dg.AssetKey(table.name)

    @dg.multi_asset_check(
        name=f"{table.name}_checks",
        specs=[
            dg.AssetCheckSpec("schema", asset=asset, blocking=True, description="columns and types as declared"),
            dg.AssetCheckSpec(
                "rows", asset=asset, blocking=True, description="keys unique, nulls and constraints kept"
            ),
        ],
    )
    def check(platform: PlatformResource) -> Iterator[dg.AssetCheckResult]:
        lake = platform.lake()
        schema_faults = schema_differences(table, lake.scan(table.name).limit(0).collect().to_arrow().schema)
        yield _result(asset, "schema", schema_faults)
        yield _result(asset, "rows", {} if any(schema_faults.values()) else row_faults(table, lake))

    return check


def _result(asset: dg.AssetKey, name: str, faults: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=not any(faults.values()),
        metadata={fault: dg.MetadataValue.json(found) for fault, found in faults.items() if found},
    )


def schema_differences(table: Table, stored: pa.Schema) -> dict[str, Any]:
    """Columns that are missing, extra, or of another type."""
    have = {field.name: plain(field.type) for field in stored}
    want = {field.name: plain(field.type) for field in table.schema}
    return {
        "missing": sorted(want.keys() - have.keys()),
        "extra": sorted(have.keys() - want.keys()),
        "types": {
            name: {"expected": str(want[name]), "got": str(have[name])}
            for name in want.keys() & have.keys()
            if want[name] != have[name]
        },
    }


def row_faults(table: Table, lake: Lake) -> dict[str, Any]:
    """Duplicate keys, nulls where none may be, and rows that break a constraint, counted."""
    rows = lake.scan(table.name)
    nulls = [field.name for field in table.schema if not field.nullable]
    counts = rows.select(
        *(pl.col(name).null_count().alias(f"null:{name}") for name in nulls),
        *((~pl.sql_expr(sql)).sum().alias(f"constraint:{name}") for name, sql in table.constraints.items()),
    ).collect()
    found = {name: int(count) for name, count in counts.row(0, named=True).items() if count}
    faults: dict[str, Any] = {
        "nulls": {name[5:]: count for name, count in found.items() if name.startswith("null:")},
        "constraints": {name[11:]: count for name, count in found.items() if name.startswith("constraint:")},
    }
    if table.primary_key:
        keys = rows.select(pl.struct(table.primary_key).alias("key"))
        twice = keys.group_by("key").len().filter(pl.col("len") > 1).collect()
        faults["duplicate_keys"] = [str(key) for key in twice["key"].head(5).to_list()]
    return faults


@dg.asset_check(
    asset="core_nexus__quarantine", description=f"no source has over {MAX_QUARANTINE_SHARE:.0%} refused rows"
)
def quarantine_share(platform: PlatformResource) -> dg.AssetCheckResult:
    """Warn when a source sends much that has to be refused."""
    shares = refused_shares(platform.lake())
    return dg.AssetCheckResult(
        passed=max(shares.values(), default=0.0) <= MAX_QUARANTINE_SHARE,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: dg.MetadataValue.float(share) for name, share in shares.items()},
    )
