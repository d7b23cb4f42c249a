"""Care changes files and no row: what must stay readable stays, what may go goes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from nexus.errors import Category, NexusError
from nexus.lake import maintenance
from nexus.lake.lake import Lake
from tests.nexus.lake.rows import EVENTS, VIEWERS, events, names, viewers

pytestmark = pytest.mark.integration
NOW = timedelta(0)


def files(lake: Lake, table: str) -> int:
    return sum(1 for path in Path(lake.uri(table)).rglob("*.parquet") if "_delta_log" not in path.parts)


def test_care__optimize_order_checkpoint_vacuum__keeps_every_row_and_the_kept_versions(lake: Lake) -> None:
    versions = [lake.write(VIEWERS, viewers(f"v{n}", f"w{n}"), mode="append").version for n in range(3)]
    hashes = {version: lake.content_hash(VIEWERS, version) for version in versions}
    packed = maintenance.optimize(lake, VIEWERS)
    assert (packed.operation, packed.files_added) == ("optimize", 1)
    assert packed.files_removed >= 3
    assert packed.bytes_removed > 0
    ordered = maintenance.z_order(lake, VIEWERS, ["user_id"])
    assert ordered.version > packed.version > versions[-1]
    maintenance.checkpoint(lake, VIEWERS)
    assert list(Path(lake.uri(VIEWERS), "_delta_log").glob("*.checkpoint*.parquet"))
    assert lake.content_hash(VIEWERS) == hashes[versions[-1]]

    before = files(lake, VIEWERS)
    kept = maintenance.vacuum(lake, VIEWERS, keep_from=versions[1], retain=NOW)
    assert kept.files_removed == 0, "the newest kept version needs every file of its predecessors"
    trial = maintenance.vacuum(lake, VIEWERS, keep_from=packed.version, retain=NOW, dry_run=True)
    assert files(lake, VIEWERS) == before
    done = maintenance.vacuum(lake, VIEWERS, keep_from=packed.version, retain=NOW)
    assert (done.files_removed, done.bytes_removed) == (trial.files_removed, trial.bytes_removed)
    assert files(lake, VIEWERS) == before - done.files_removed == 2
    assert lake.content_hash(VIEWERS, packed.version) == lake.content_hash(VIEWERS) == hashes[versions[-1]]
    with pytest.raises(NexusError, match="vacuumed") as caught:
        lake.read(VIEWERS, version=versions[-1])
    assert caught.value.category is Category.NOT_FOUND
    assert lake.write(VIEWERS, viewers("new"), mode="merge").rows == 1
    assert len(names(lake)) == 7


def test_vacuum__files_taken_out_a_moment_ago__stay_for_as_long_as_is_asked(lake: Lake) -> None:
    first = lake.write(VIEWERS, viewers("a"), mode="append").version
    lake.write(VIEWERS, viewers("b"), mode="overwrite")
    assert maintenance.vacuum(lake, VIEWERS, keep_from=None, retain=timedelta(hours=2)).files_removed == 0
    assert names(lake, first) == ["a"]
    assert maintenance.vacuum(lake, VIEWERS, keep_from=first, retain=NOW).files_removed == 0
    assert names(lake, first) == ["a"]
    assert maintenance.vacuum(lake, VIEWERS, keep_from=None, retain=NOW).files_removed >= 1
    assert names(lake) == ["b"]


def test_vacuum__a_partitioned_table__takes_files_out_of_every_folder(lake: Lake) -> None:
    days = [date(2026, 1, 1), date(2026, 1, 2)]
    for day in days:
        lake.write(EVENTS, events(day, f"{day}"), mode="append")
    for day in days:
        lake.write(EVENTS, events(day, f"new{day}"), mode="replace_partition", partition={"day": str(day)})
    digest = lake.content_hash(EVENTS)
    assert maintenance.vacuum(lake, EVENTS, keep_from=None, retain=NOW).files_removed == 2
    assert (files(lake, EVENTS), lake.content_hash(EVENTS)) == (2, digest)
