"""Care of the lake: every table packed, ordered, checkpointed and vacuumed, with what it came to.

Belongs here: which operation on which tables, and the retention that models need. Does not belong here: the operations
(nexus.lake.maintenance), when they run (assets.schedules).

Every table of the lake is cared for, or those that the run's configuration names. One table's failure does not stop the others.
Not partitions: Dagster refuses a run without one where a partitioned asset depends on another, and one run should do all tables.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from assets.jobs import CARE_GROUP
from assets.resources import PlatformResource
from assets.tables import OWNER
from nexus.errors import Category, NexusError
from nexus.lake import maintenance
from nexus.lake.catalogue import TABLES
from nexus.lake.files import Files, files
from nexus.lake.lake import Lake
from nexus.lake.maintenance import MaintenanceResult
from training import snapshot

ORDERED_BY = {
    "core_movielens__ratings": ("user_id", "content_id"),
    "marts_nexus__interactions": ("user_id", "content_id"),
    "features_nexus__viewer": ("user_id",),
    "features_nexus__title": ("content_id",),
    "training_nexus__examples": ("user_id",),
}
"""Tables that are asked for one viewer or one title; the others are read as a whole, or by day."""
SMALL_BYTES = 32_000_000
"""A table below this is one file: there is nothing to skip in it."""

_SHARED: dict[str, Any] = {"group_name": CARE_GROUP, "owners": [OWNER], "kinds": {"deltalake"}}
Operation = Callable[[Lake, str], MaintenanceResult | None]


class Chosen(dg.Config):
    """Which tables; none named: all."""

    tables: list[str] = Field(default_factory=list)


@dg.asset(**_SHARED)
def lake_optimize(
    context: dg.AssetExecutionContext, config: Chosen, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Pack small files into large ones."""
    return _care(context, config, platform, maintenance.optimize)


@dg.asset(**_SHARED, deps=[lake_optimize])
def lake_z_order(
    context: dg.AssetExecutionContext, config: Chosen, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Lay rows of the same viewer or title beside each other, in tables that are large enough to skip files of."""

    def order(lake: Lake, table: str) -> MaintenanceResult | None:
        if table not in ORDERED_BY or files(lake, table).bytes < SMALL_BYTES:
            return None
        return maintenance.z_order(lake, table, ORDERED_BY[table])

    return _care(context, config, platform, order)


@dg.asset(**_SHARED, deps=[lake_z_order])
def lake_checkpoint(
    context: dg.AssetExecutionContext, config: Chosen, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Write each table's state as one file, so that opening it reads no long log."""
    return _care(context, config, platform, maintenance.checkpoint)


@dg.asset(**_SHARED, deps=[lake_checkpoint])
def lake_vacuum(
    context: dg.AssetExecutionContext, config: Chosen, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Delete files that neither the last days (care.retain_days) nor any model that must be rebuilt needs.

    When the registry does not answer, nothing is deleted: nobody knows then what models need.
    """
    settings = platform.settings()
    needed, retain = snapshot.oldest_needed(settings), timedelta(days=settings.care.retain_days)

    def vacuum(lake: Lake, table: str) -> MaintenanceResult:
        return maintenance.vacuum(lake, table, keep_from=needed.get(table), retain=retain)

    result = _care(context, config, platform, vacuum)
    kept = ", ".join(f"{table}@{version}" for table, version in sorted(needed.items())) or "none"
    return dg.MaterializeResult(metadata={**(result.metadata or {}), "kept_for_models": kept})


def _care(
    context: dg.AssetExecutionContext, config: Chosen, platform: PlatformResource, operation: Operation
) -> dg.MaterializeResult[None]:
    lake = platform.lake()
    done: dict[str, tuple[Files, Files, MaintenanceResult]] = {}
    failed: dict[str, NexusError] = {}
    for table in config.tables or sorted(TABLES):
        if not lake.exists(table):
            continue
        try:
            before = files(lake, table)
            result = operation(lake, table)
            if result is not None:
                done[table] = before, files(lake, table), result
        except NexusError as error:
            context.log.warning("%s: %s", table, error)
            failed[table] = error
    if failed:
        raise _all_failed(failed)
    return dg.MaterializeResult(metadata=_sums(done))


def _all_failed(failed: dict[str, NexusError]) -> NexusError:
    return NexusError(
        "; ".join(f"{table}: {error.message}" for table, error in failed.items()),
        category=next(iter(failed.values())).category or Category.INTERNAL,
        field="table",
        value=", ".join(failed),
        remedy="the other tables are done; run bin/nexus pipeline run --job care again",
    )


def _figures(before: Files, after: Files, result: MaintenanceResult) -> dict[str, int]:
    return {
        "files_before": before.count, "files_after": after.count, "bytes_before": before.bytes,
        "bytes_after": after.bytes, "files_added": result.files_added, "files_removed": result.files_removed,
        "bytes_removed": result.bytes_removed, "table_version": result.version,
    }  # fmt: skip


def _sums(done: dict[str, tuple[Files, Files, MaintenanceResult]]) -> dict[str, Any]:
    every = [_figures(*one) for one in done.values()]
    lines = ["| table | files before | after | bytes before | after | bytes removed |", "|---|---|---|---|---|---|"]
    for table, one in done.items():
        figures = _figures(*one)
        shown = ("files_before", "files_after", "bytes_before", "bytes_after", "bytes_removed")
        lines.append(f"| {table} | " + " | ".join(str(figures[name]) for name in shown) + " |")
    names = ("files_before", "files_after", "bytes_before", "bytes_after", "files_removed", "bytes_removed")
    sums = {name: sum(figures[name] for figures in every) for name in names}
    return {**sums, "tables": len(done), "by_table": dg.MetadataValue.md("\n".join(lines))}
