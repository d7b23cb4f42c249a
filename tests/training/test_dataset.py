"""Order, hash, split."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from nexus.errors import NexusError
from training import dataset

pytestmark = pytest.mark.unit

AT = datetime(2020, 1, 1, tzinfo=UTC)
TITLES = pl.DataFrame({"content_id": ["a", "b", "c"], "year": [1999, None, 2001], "genres": [["War"], None, []]})


def rows(*found: tuple[str, str, float | None, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (user, title, "rate" if value else "view", value, AT.replace(hour=hour))
            for user, title, value, hour in found
        ],
        schema={
            "user_id": pl.String,
            "content_id": pl.String,
            "interaction_type": pl.String,
            "value": pl.Float64,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def test_build__rows_out_of_order__are_ordered_by_time_then_by_row() -> None:
    built = dataset.build(rows(("u", "c", 5.0, 3), ("u", "b", 1.0, 2), ("u", "a", 4.0, 2)), TITLES)
    assert [built.vocabulary[item] for item in built.histories[0].items] == ["b", "a", "c"]
    assert built.histories[0].values.tolist() == pytest.approx([0.2, 0.8, 1.0])


def test_build__title_met_twice__counts_where_it_was_met_last() -> None:
    built = dataset.build(rows(("u", "a", 5.0, 1), ("u", "b", 1.0, 2), ("u", "a", None, 3)), TITLES)
    assert [built.vocabulary[item] for item in built.histories[0].items] == ["b", "a"]
    assert built.histories[0].values.tolist() == pytest.approx([0.2, 0.0])


def test_build__missing_facts__are_unknown_not_wrong() -> None:
    built = dataset.build(rows(("u", "a", 5.0, 1)), TITLES, context_features=("viewer_activity",))
    assert built.size == 4
    assert np.isnan(built.years[2])
    assert built.genres == ((), ("War",), (), ())
    assert built.histories[0].context.tolist() == [[0.0]]


@pytest.mark.parametrize(
    "other", [("u", "a", 4.5, 1), ("u", "b", 5.0, 1), ("v", "a", 5.0, 1), ("u", "a", 5.0, 2)], ids=str
)
def test_hash__of_other_data__is_another(other: tuple[str, str, float, int]) -> None:
    first = dataset.build(rows(("u", "a", 5.0, 1)), TITLES)
    assert first.data_hash == dataset.build(rows(("u", "a", 5.0, 1)), TITLES).data_hash
    assert first.data_hash != dataset.build(rows(other), TITLES).data_hash


def test_leave_out__histories_too_short__names_the_remedy() -> None:
    built = dataset.build(rows(("u", "a", 5.0, 1)), TITLES)
    with pytest.raises(NexusError, match="load more ratings"):
        dataset.leave_out(built, last=1, name="test")


def test_leave_out__second_last__hides_what_came_after(world: dataset.Dataset) -> None:
    split = dataset.leave_out(world, last=2, name="validation")
    for history, target, whole in zip(split.histories, split.targets, world.histories, strict=True):
        assert history.items.tolist() == whole.items[:-2].tolist()
        assert target == whole.items[-2]


def test_random_ties__same_seed__same_order_and_times_kept(world: dataset.Dataset) -> None:
    first, second = world.with_random_ties(5), world.with_random_ties(5)
    assert all((a.items == b.items).all() for a, b in zip(first.histories, second.histories, strict=True))
    assert all((np.diff(h.at_s) >= 0).all() for h in first.histories)
