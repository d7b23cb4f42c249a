"""What is refused before an engine is asked, and what a vacuum leaves alone (embedded engine)."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.errors import Category, NexusError
from nexus.lake import maintenance
from nexus.lake.lake import Lake
from tests.nexus.lake.rows import EVENTS, VIEWERS, names, viewers

pytestmark = pytest.mark.integration
NOW = timedelta(0)


@pytest.mark.parametrize("columns", [[], ["nobody"], ["day"]])
def test_z_order__a_column_that_cannot_be__is_refused(lake: Lake, columns: list[str]) -> None:
    lake.write(EVENTS, lake_rows := _no_events(), mode="append")
    assert lake_rows.num_rows == 0
    with pytest.raises(NexusError) as caught:
        maintenance.z_order(lake, EVENTS, columns)
    assert (caught.value.category, caught.value.field) == (Category.INVALID, "columns")


def _no_events():
    from nexus.lake.catalogue import declared

    return declared(EVENTS).schema.empty_table()


def test_vacuum__a_negative_time__is_refused(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append")
    with pytest.raises(NexusError) as caught:
        maintenance.vacuum(lake, VIEWERS, keep_from=None, retain=timedelta(hours=-1))
    assert caught.value.field == "retain"


@pytest.mark.parametrize("operation", [maintenance.optimize, maintenance.checkpoint])
def test_care__of_a_table_never_written__is_not_found(lake: Lake, operation) -> None:
    with pytest.raises(NexusError) as caught:
        operation(lake, VIEWERS)
    assert caught.value.category is Category.NOT_FOUND


def test_vacuum__the_rest_of_a_write__goes_only_when_it_is_old(lake: Lake) -> None:
    lake.write(VIEWERS, viewers("a"), mode="append")
    young, old = (Path(lake.uri(VIEWERS), f"part-{name}.parquet") for name in ("young", "old"))
    for path in (young, old):
        path.write_bytes(b"half")
    yesterday = time.time() - 2 * 86_400
    os.utime(old, (yesterday, yesterday))
    done = maintenance.vacuum(lake, VIEWERS, keep_from=None, retain=NOW)
    assert (done.files_removed, done.bytes_removed) == (1, 4)
    assert (young.exists(), old.exists()) == (True, False)
    assert names(lake) == ["a"]


_STEPS = st.lists(st.sampled_from(["append", "overwrite", "merge", "optimize", "z_order"]), min_size=2, max_size=7)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS, kept=st.integers(0, 6))
def test_vacuum__after_any_history__keeps_every_version_from_the_oldest_kept(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], kept: int
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    lake.write(VIEWERS, viewers("first"), mode="append")
    for number, step in enumerate(steps):
        if step == "optimize":
            maintenance.optimize(lake, VIEWERS)
        elif step == "z_order":
            maintenance.z_order(lake, VIEWERS, ["user_id"])
        else:
            lake.write(VIEWERS, viewers("first", f"v{number}"), mode="merge" if step == "append" else step)  # type: ignore[arg-type]
    newest = lake.version(VIEWERS) or 0
    keep_from = min(kept, newest)
    before = {version: lake.content_hash(VIEWERS, version) for version in range(keep_from, newest + 1)}
    maintenance.vacuum(lake, VIEWERS, keep_from=keep_from, retain=NOW)
    assert {version: lake.content_hash(VIEWERS, version) for version in before} == before
