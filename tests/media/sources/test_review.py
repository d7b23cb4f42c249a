"""What becomes of staged lines: every kind of bad value has its field and reason, the rest is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from media.sources.append import append
from media.sources.base import RATINGS, TITLES
from media.sources.movielens import MovieLens
from media.sources.review import is_taken, review
from nexus.ids import Reference, internal
from nexus.lake.lake import Lake
from nexus.lake.transforms import quarantine, ratings, titles

pytestmark = pytest.mark.integration

Folder = Callable[..., Path]
FUTURE = int(time.time()) + 400 * 24 * 3600
BAD_LINES = {
    "1,1,4.0": ("line", "expected 4 fields, found 3"),
    ",1,4.0,964982703": ("userId", "is not a whole number"),
    "abc,1,4.0,964982703": ("userId", "is not a whole number"),
    "1,,4.0,964982703": ("movieId", "is not a whole number"),
    "1,1,good,964982703": ("rating", "is not a number"),
    "1,1,,964982703": ("rating", "is not a number"),
    "1,1,nan,964982703": ("rating", "is not a number"),
    "1,1,0.4,964982703": ("rating", "is not 0.5 to 5"),
    "1,1,5.5,964982703": ("rating", "is not 0.5 to 5"),
    "1,1,-3,964982703": ("rating", "is not 0.5 to 5"),
    "1,1,4.0,yesterday": ("timestamp", "is not a whole number of seconds"),
    "1,1,4.0,1.5": ("timestamp", "is not a whole number of seconds"),
    "1,1,4.0,-5": ("timestamp", "lies before 1970"),
    f"1,1,4.0,{FUTURE}": ("timestamp", "lies in the future"),
    "1,1,4.0,964982703000": ("timestamp", "lies in the future"),
    "1,1,4.0,99999999999999999999": ("timestamp", "is not a whole number of seconds"),
    "1,999,4.0,964982703": ("movieId", "is not a known title"),
    "7,1,3.0,964982703": ("timestamp", "the same viewer, title and time occur twice"),
}
GOOD_LINES = ["7,1,4.0,964982703", "07, 2 ,0.5,0", "8,1,5,1", "7,1,4.0,964982704"]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, engine_lake: Lake) -> tuple[Lake, list[str]]:
    """The corpus, staged and appended to a lake of its own."""
    path = tmp_path_factory.mktemp("corpus")
    written = [*GOOD_LINES, *BAD_LINES]
    (path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(written) + "\n")
    (path / "movies.csv").write_text(
        "movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n2,No Year Here,(no genres listed)\n"
        '3,,Drama\nx,Odd (2000),Drama\n1,Toy Story again (1995),Drama\n4,"City of Lost Children, The (Cité) (1995)",\n'
    )
    (path / "links.csv").write_text("movieId,imdbId,tmdbId\n1,114709,862\n2,12345678,\n")
    staged = MovieLens(path).stage(tmp_path_factory.mktemp("inbox"))
    assert not is_taken(engine_lake, staged)
    for table in (RATINGS, TITLES):
        append(engine_lake, staged, table)
    assert is_taken(engine_lake, staged)
    counted = review(engine_lake, staged)
    assert counted["ratings"].accepted == len(GOOD_LINES)
    assert sum(counted["ratings"].refused.values()) == len(BAD_LINES)
    return engine_lake, written


def test_ratings__each_bad_line__is_quarantined_with_field_and_reason(judged: tuple[Lake, list[str]]) -> None:
    lake, _ = judged
    known = titles.from_movielens(titles.judged_movielens(lake.spark_table(TITLES)))
    rows = quarantine.of_lines(ratings.judged(lake.spark_table(RATINGS), known), "movielens.ratings").toArrow()
    found = {row["raw_text"]: (row["field"], row["reason"]) for row in rows.to_pylist()}
    assert found == BAD_LINES
    assert len({row["row_key"] for row in rows.to_pylist()}) == len(BAD_LINES)


def test_ratings__good_lines__are_typed_and_have_the_ids_of_the_kernel(judged: tuple[Lake, list[str]]) -> None:
    lake, _ = judged
    known = titles.from_movielens(titles.judged_movielens(lake.spark_table(TITLES)))
    rows = ratings.accepted(ratings.judged(lake.spark_table(RATINGS), known)).toArrow().to_pylist()
    assert sorted(row["event_id"] for row in rows) == [
        "movielens:7:1:964982703",
        "movielens:7:1:964982704",
        "movielens:7:2:0",
        "movielens:8:1:1",
    ]
    for row in rows:
        user, content = row["user_ref"].removeprefix("movielens:"), row["content_ref"].removeprefix("movielens:")
        assert row["user_id"] == str(internal("user", Reference("movielens", user)))
        assert row["content_id"] == str(internal("content", Reference("movielens", content)))


def test_titles__of_all_shapes__are_parsed(judged: tuple[Lake, list[str]]) -> None:
    lake, _ = judged
    lines = titles.judged_movielens(lake.spark_table(TITLES))
    rows = {row["title"]: row for row in titles.from_movielens(lines).toArrow().to_pylist()}
    assert set(rows) == {"Toy Story", "No Year Here", "The City of Lost Children (Cité)"}
    toy_story, no_year = rows["Toy Story"], rows["No Year Here"]
    assert (toy_story["year"], toy_story["genres"]) == (1995, ["Adventure", "Animation"])
    assert (no_year["year"], no_year["genres"]) == (None, [])
    assert [f"{pair['issuer']}:{pair['value']}" for pair in toy_story["external_ids"]] == [
        "movielens:1",
        "imdb:tt0114709",
        "tmdb:862",
    ]
    assert [f"{pair['issuer']}:{pair['value']}" for pair in no_year["external_ids"]] == [
        "movielens:2",
        "imdb:tt12345678",
    ]
    refused = quarantine.of_lines(lines, "movielens.titles").toArrow().to_pylist()
    assert sorted((row["field"], row["value"], row["reason"]) for row in refused) == [
        ("movieId", "1", "occurs twice"),
        ("movieId", "x", "is not a whole number"),
        ("title", "", "is empty"),
    ]


def test_append__the_same_load_again__adds_nothing(judged: tuple[Lake, list[str]], tmp_path: Path) -> None:
    lake, _ = judged
    before = lake.version(RATINGS)
    path = tmp_path / "again"
    path.mkdir()
    (path / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Adventure\n")
    (path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n7,1,4.0,964982703\n9,1,4.0,964982703\n")
    other = MovieLens(path).stage(tmp_path / "inbox")
    assert append(lake, other, RATINGS).rows == 2
    assert append(lake, other, RATINGS).rows_known == 2
    assert lake.version(RATINGS) == (before or 0) + 1
    known = titles.from_movielens(titles.judged_movielens(lake.spark_table(TITLES)))
    lines = ratings.judged(lake.spark_table(RATINGS), known)
    assert ratings.accepted(lines).count() == len(GOOD_LINES) + 1
    assert quarantine.of_lines(lines, "movielens.ratings").count() == len(BAD_LINES)


def test_review__the_real_data_set__accepts_every_line(ml_latest_small: Path, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    try:
        counted = review(lake, MovieLens(ml_latest_small).stage(tmp_path / "inbox"))
    finally:
        lake.close()
    assert (counted["ratings"].read, counted["ratings"].accepted) == (100_836, 100_836)
    assert (counted["titles"].read, counted["titles"].accepted) == (9_742, 9_742)
