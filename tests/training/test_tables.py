"""Tables and pictures of the evaluation: who stands where, and for whom."""

from __future__ import annotations

import pytest

from training import plots, tables

pytestmark = pytest.mark.unit

RANKS = {"hybrid": [1, 5, 11, 2], "ease": [3, 20, 1, 1]}
LENGTHS = [3, 24, 25, 400]


def test_by_length__four_viewers__stand_in_their_buckets() -> None:
    found = tables.by_length(RANKS, LENGTHS)
    assert {bucket: viewers for bucket, (viewers, _) in found.items()} == {"0-24": 2, "25-49": 1, "200+": 1}
    assert found["0-24"][1]["hybrid"] == (pytest.approx((1 + 1 / 2.584962) / 2), 1.0)
    assert found["25-49"][1] == {"hybrid": (0.0, 0.0), "ease": (1.0, 1.0)}
    assert tables.by_length({"ease": []}, []) == {}


def test_of_lengths__as_markdown__has_a_column_for_each_bucket() -> None:
    lines = tables.of_lengths(tables.by_length(RANKS, LENGTHS)).splitlines()
    assert lines[0].count("|") == 5
    assert "25-49 titles (1 viewers)" in lines[0]
    assert lines[2].startswith("| hybrid | ")
    assert "| 0.0000 / 0.0000 |" in lines[2]


def test_by_candidate__hybrid_with_parts__is_marked_and_the_best_comes_first() -> None:
    figures = {"ease": {"ndcg_10": 0.2}, "hybrid": {"ndcg_10": 0.3, "coverage_10": 0.5}, "sequence": {"ndcg_10": 0.1}}
    lines = tables.by_candidate(figures, "hybrid", ["sequence"]).splitlines()
    assert lines[2].startswith("| **hybrid** | 0.3000 | - | - | 0.5000 |")
    assert lines[4].startswith("| sequence (part) | 0.1000 |")


@pytest.mark.parametrize("found", [tables.by_length(RANKS, LENGTHS), {}])
def test_by_length__as_a_picture__is_a_png(found: dict[str, object]) -> None:
    assert plots.by_length(found).startswith(b"\x89PNG")  # type: ignore[arg-type]
