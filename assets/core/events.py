"""Layer core, events of the API: typed, one per event id, one partition per day.

Belongs here: which days are refreshed and how Dagster learns of it. Does not belong here: the rules
(nexus.lake.transforms.events).
"""

import dagster as dg
import polars as pl

from assets.partitions import EVENT_DAYS
from assets.resources import PlatformResource
from assets.tables import code_version, described, result
from nexus.lake import quarantine
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.lake.transforms import events

_NAME, _RAW = "core_nexus__events", "raw_nexus__events"


@dg.asset(
    **described(_NAME, kinds=("deltalake", "spark")),
    deps=[_RAW],
    partitions_def=EVENT_DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def core_nexus__events(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Replace the partitions that were asked for; without a choice, every day with entries that are not in yet."""
    lake = platform.lake()
    if not lake.exists(_NAME):
        lake.write(_NAME, declared(_NAME).schema.empty_table(), mode="append")
    entries = _entries_by_day(lake)
    chosen = set(context.partition_keys) if context.has_partition_key or context.has_partition_key_range else None
    corrections = quarantine.version(lake, _RAW)
    rules = code_version() if corrections is None else f"{code_version()}:{corrections}"
    rows: dict[str, int] = {}
    for day, count in sorted(entries.items()):
        app = f"event-count:{rules}:{day}"
        if chosen is None and lake.last_key(_NAME, app) == count:
            continue
        if chosen is None or day in chosen:
            rows[day] = _replace(lake, day, key=None if chosen else (app, count))
    if chosen is None:
        for day, count in rows.items():
            context.log_event(
                dg.AssetMaterialization(_NAME, partition=day, metadata={"dagster/partition_row_count": count})
            )
    return result(lake, _NAME, rows_written=sum(rows.values()), more={"days": ", ".join(rows)})


def _entries_by_day(lake: Lake) -> dict[str, int]:
    """Day -> how many entries the raw table has; it only grows, also where a clock went back and ids do not."""
    counted = lake.scan(_RAW).group_by(pl.col("day").cast(pl.String)).len().collect()
    return {day: int(count) for day, count in counted.iter_rows()}


def _replace(lake: Lake, day: str, key: tuple[str, int] | None) -> int:
    from pyspark.sql import functions as F  # noqa: N812

    raw = quarantine.corrected(lake, _RAW, lake.spark_table(_RAW))
    accepted = events.accepted(events.judged(raw))
    of_day = accepted.where(F.col("day") == F.lit(day).cast("date"))
    return lake.write(_NAME, of_day, mode="replace_partition", partition={"day": day}, key=key).rows
