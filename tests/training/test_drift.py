"""Drift figures: none where nothing changed, the right one where something did, no verdict on few rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import drift

pytestmark = pytest.mark.unit
START = datetime(2024, 1, 1, tzinfo=UTC)


def world(
    seed: int, rows: int, *, shift: float = 0.0, titles: int = 100, first_title: int = 0, mark: str = "a"
) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    stars = np.clip(np.round((random.normal(3.5 - shift, 0.8, rows)) * 2) / 2, 0.5, 5.0)
    popular = first_title + np.minimum(random.zipf(1.4, rows), titles) - 1
    return pl.DataFrame(
        {
            "event_id": [f"{mark}{number}" for number in range(rows)],
            "user_id": [f"u{number}" for number in random.integers(0, 60, rows)],
            "content_id": [f"t{number}" for number in popular],
            "interaction_type": ["rate"] * rows,
            "value": stars,
            "occurred_at": [
                START + timedelta(minutes=int(minute)) for minute in random.integers(0, 60 * 24 * 90, rows)
            ],
        }
    )


def names(found: drift.Drift) -> set[str]:
    return {figure.metric for figure in found.over}


def test_measure__same_distribution__nothing_is_over() -> None:
    reference = world(1, 5000)
    found = drift.measure(reference, pl.concat([reference, world(2, 4000, mark="b")]))
    assert (found.reference_rows, found.current_rows) == (5000, 4000)
    assert {figure.metric for figure in found.figures} == {
        "rating_psi", "viewer_activity_psi", "title_activity_psi", "popularity_psi", "rating_ks",
        "new_titles_share", "new_viewers_share",
    }  # fmt: skip
    assert names(found) <= {"viewer_activity_psi", "title_activity_psi"}, "60 viewers are few: chance alone moves these"
    assert all(figure.protocol for figure in found.figures)


def test_measure__other_ratings__are_seen_by_psi_and_ks() -> None:
    reference = world(1, 5000)
    found = drift.measure(reference, pl.concat([reference, world(2, 2000, shift=1.5, mark="b")]))
    assert {"rating_psi", "rating_ks"} <= names(found)
    assert "popularity_psi" not in names(found)


def test_measure__other_titles__are_a_share_of_new_ones() -> None:
    reference = world(1, 5000)
    found = drift.measure(reference, pl.concat([reference, world(2, 2000, first_title=1000, mark="b")]))
    assert "new_titles_share" in names(found)
    assert "rating_psi" not in names(found)


def test_measure__few_new_rows__are_measured_but_not_judged() -> None:
    reference = world(1, 5000)
    found = drift.measure(reference, pl.concat([reference, world(2, drift.LEAST_ROWS - 1, shift=2, mark="b")]))
    assert not found.is_judged
    assert found.figures
    assert not found.over


def test_measure__nothing_new__has_no_figures() -> None:
    reference = world(1, 500)
    assert drift.measure(reference, reference).figures == ()


def test_measure__no_ratings_at_all__leaves_their_figures_out() -> None:
    views = [
        world(seed, 500, mark=mark).with_columns(interaction_type=pl.lit("view")) for seed, mark in ((1, "a"), (2, "b"))
    ]
    found = {figure.metric for figure in drift.measure(views[0], pl.concat(views)).figures}
    assert not found & {"rating_psi", "rating_ks"}


def test_psi__known_counts__is_the_textbook_value() -> None:
    reference, current = np.array([50.0, 50.0]), np.array([25.0, 75.0])
    expected = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert drift.psi(reference, current) == pytest.approx(expected)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=20), st.integers(1, 50))
def test_psi__same_shape_at_any_size__is_zero(counts: list[int], factor: int) -> None:
    reference = np.array(counts, dtype=np.float64)
    assert drift.psi(reference, reference * factor) == pytest.approx(0.0, abs=1e-12)


def test_thresholds__small_samples__are_wider_than_the_convention() -> None:
    assert drift.psi_threshold(10, 1e6, 1e6) == drift.PSI_LIMIT
    assert drift.psi_threshold(10, 1e6, 20) > drift.PSI_LIMIT
    assert drift.ks_threshold(10**6, 10**6) == drift.KS_LIMIT
    assert drift.ks_threshold(10**6, 50) > drift.KS_LIMIT


def test_psi_threshold__two_samples_of_one_distribution__exceed_its_chance_part_once_in_twenty() -> None:
    random, bins, rows = np.random.default_rng(3), 10, 400
    by_chance = drift.stats.chi2.ppf(drift.CONFIDENCE, bins - 1) * 2 / rows
    pairs = (random.multinomial(rows, np.full(bins, 0.1), 2).astype(np.float64) for _ in range(2000))
    share = np.mean([drift.psi(one, other) > by_chance for one, other in pairs])
    assert 0.03 < share < 0.07


def test_pictures__of_a_measurement__are_a_png() -> None:
    reference = world(1, 500)
    found = drift.measure(reference, pl.concat([reference, world(2, 300, mark="b")]))
    assert drift.pictures(found.comparisons).startswith(b"\x89PNG")
