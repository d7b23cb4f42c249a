"""What no engine may take, whether the rows are here or with the engine: the same refusal from both, and no table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake
from tests.nexus.lake.rows import EVENTS, VIEWERS, events, viewers

pytestmark = pytest.mark.integration
GOOD = viewers("a", "b")


def changed(name: str, kind: pa.DataType, values: list[Any] | None = None) -> pa.Table:
    """Good rows with one column of another type."""
    at = GOOD.schema.names.index(name)
    column = pa.array(values, kind) if values else GOOD.column(name).cast(kind)
    return GOOD.set_column(at, pa.field(name, kind), column)


# case -> frame, column at fault, what the error says was found there
FAULTS: dict[str, tuple[pa.Table, str, str]] = {
    "extra": (GOOD.append_column("more", pa.array([1, 2])), "more", "an extra column"),
    "missing": (GOOD.drop_columns(["mean_value"]), "mean_value", "no such column"),
    "wrong_case": (GOOD.rename_columns([n.upper() if n == "user_id" else n for n in GOOD.schema.names]), "user_id",
                   "no such column (but USER_ID)"),
    "text_for_number": (changed("interactions", pa.string(), ["1", "7"]), "interactions", "string"),
    "fraction_for_whole": (changed("interactions", pa.float64(), [1.5, 2.0]), "interactions", "double"),
    "whole_for_fraction": (changed("mean_value", pa.int64(), [1, 2]), "mean_value", "int64"),
    "smaller_whole": (changed("interactions", pa.int32(), [1, 2]), "interactions", "int32"),
    "time_without_zone": (changed("last_at", pa.timestamp("us")), "last_at", "timestamp[us] (no time zone)"),
    "null": (changed("interactions", pa.int64(), [1, None]), "interactions", "1 nulls"),
}  # fmt: skip


@pytest.fixture(params=["held", "computed"])
def give(request: pytest.FixtureRequest, lake: Lake) -> Callable[[pa.Table], Any]:
    """The rows as they are, or as a frame of the engine."""
    return (lambda rows: rows) if request.param == "held" else (lambda rows: _computed(lake, rows))


def _computed(lake: Lake, rows: pa.Table) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    naive = [field.name for field in rows.schema if pa.types.is_timestamp(field.type) and field.type.tz is None]
    frame = lake.spark().createDataFrame(rows)
    return frame.withColumns({name: F.col(name).cast("timestamp_ntz") for name in naive}) if naive else frame


@pytest.mark.parametrize("case", sorted(FAULTS))
def test_schema__a_fault__is_refused_by_name_and_nothing_is_written(
    lake: Lake, give: Callable[[pa.Table], Any], case: str
) -> None:
    rows, column, found = FAULTS[case]
    with pytest.raises(NexusError) as caught:
        lake.write(VIEWERS, give(rows), mode="append")
    error = caught.value
    assert (error.category, error.field) == (Category.INVALID, f"{VIEWERS}.{column}")
    assert error.evidence["got"] == found
    # Without rows there is at most the empty table: delta-rs makes it before the first batch arrives.
    assert not lake.exists(VIEWERS) or lake.count(VIEWERS) == 0


def test_schema__another_order_of_columns__is_taken_by_name(lake: Lake, give: Callable[[pa.Table], Any]) -> None:
    turned = GOOD.select(list(reversed(GOOD.schema.names)))
    assert lake.write(VIEWERS, give(turned), mode="append").rows == 2
    assert sorted(lake.read(VIEWERS).to_pylist(), key=lambda row: row["user_id"]) == GOOD.to_pylist()


def test_unique__a_key_twice_in_one_frame__is_refused_with_the_key(lake: Lake, give: Callable[[pa.Table], Any]) -> None:
    with pytest.raises(NexusError, match="more than once") as caught:
        lake.write(VIEWERS, give(viewers("a", "b", "a")), mode="append")
    assert caught.value.category is Category.CONFLICT
    assert "'a'" in (caught.value.value or "")
    assert not lake.exists(VIEWERS) or lake.count(VIEWERS) == 0


def test_partition__rows_of_another_day__are_refused(lake: Lake, give: Callable[[pa.Table], Any]) -> None:
    rows = pa.concat_tables([events(date(2026, 1, 1), "x"), events(date(2026, 1, 2), "y")])
    with pytest.raises(NexusError) as caught:
        lake.write(EVENTS, give(rows), mode="replace_partition", partition={"day": "2026-01-01"})
    assert (caught.value.field, caught.value.value) == (f"{EVENTS}.day", "2026-01-02")


@pytest.mark.parametrize("partition", [None, {}, {"event_id": "x"}, {"day": "2026-01-01", "event_id": "x"}])
def test_partition__not_the_tables__is_refused(lake: Lake, partition: dict[str, str] | None) -> None:
    with pytest.raises(NexusError) as caught:
        lake.write(EVENTS, events(date(2026, 1, 1), "x"), mode="replace_partition", partition=partition)
    assert caught.value.field == "partition"
