"""Pulling: each title and event once, whatever changes or breaks in between."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from media.sources.jellyfin.pull import INTERACTIONS, TITLES
from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake
from tests.media.sources.jellyfin.conftest import Pull, rows
from tests.media.sources.jellyfin.server import FakeJellyfin, Fault, item_id, movie, seen

pytestmark = pytest.mark.integration
JSON = {"Content-Type": "application/json"}


def at(day: int, second: int = 0) -> str:
    return f"2024-03-{day:02}T20:{second // 60:02}:{second % 60:02}.1234567Z"


def events(lake: Lake) -> list[tuple[str, str | None, str | None]]:
    found = rows(lake, INTERACTIONS).sort("event_ref")
    return list(found.select("interaction_type", "content_ref", "value").iter_rows())


def test_pull__everything_a_viewer_may_do__is_an_event_with_an_id_of_its_own(
    server: FakeJellyfin, lake: Lake, pulls: Pull
) -> None:
    anna = server.add_viewer(101)
    server.plays(anna, 1, at(1))
    server.plays(anna, 2, at(2), Played=False, PlaybackPositionTicks=300, PlayedPercentage=41.5)
    server.plays(anna, 3, at(3), IsFavorite=True)
    server.plays(anna, 4, None, Played=False, PlayCount=0, Likes=False)
    server.plays(anna, 5, None, Played=False, PlayCount=0, Likes=True)
    done = pulls()
    assert (done[TITLES].rows, done[INTERACTIONS].rows, done[INTERACTIONS].viewers) == (30, 6, 1)
    found = rows(lake, INTERACTIONS)
    assert set(found.select("interaction_type", "content_ref", "value").iter_rows()) == {
        ("view", item_id(1), "100.0"),
        ("view", item_id(2), "41.5"),
        ("view", item_id(3), "100.0"),
        ("like", item_id(3), None),
        ("dislike", item_id(4), None),
        ("like", item_id(5), None),
    }
    assert found["event_ref"].n_unique() == 6
    first = found.filter(pl.col("content_ref") == item_id(1))["occurred_at"].item()
    assert first == "1709323200123456"
    assert done[INTERACTIONS].cursors[anna].startswith("2024-03-03T20:00:00")


def test_pull__twice__adds_nothing_and_asks_for_one_page_of_plays(
    server: FakeJellyfin, lake: Lake, pulls: Pull
) -> None:
    anna = server.add_viewer(101)
    for number in range(1, 31):
        server.plays(anna, number, at(number))
    pulls()
    before = {table: lake.version(table) for table in (TITLES, INTERACTIONS)}
    server.requests.clear()
    again = pulls()
    assert {table: done.rows for table, done in again.items()} == {TITLES: 0, INTERACTIONS: 0}
    assert {table: lake.version(table) for table in before} == before
    plays = [query for path, query in server.requests if query.get("isPlayed")]
    assert {query["startIndex"] for query in plays} == {"0"}


def test_pull__a_play_after_the_last_pull__is_the_only_new_row(server: FakeJellyfin, lake: Lake, pulls: Pull) -> None:
    anna = server.add_viewer(101)
    server.plays(anna, 1, at(1))
    pulls()
    server.plays(anna, 1, at(9), PlayCount=2)
    server.plays(anna, 2, at(8))
    assert pulls()[INTERACTIONS].rows == 2
    assert [kind for kind, _, _ in events(lake)] == ["view"] * 3


def test_pull__a_play_that_a_device_reports_late__is_not_lost(server: FakeJellyfin, pulls: Pull) -> None:
    anna = server.add_viewer(101)
    for number in range(1, 26):
        server.plays(anna, number, at(20, number))
    pulls()
    server.plays(anna, 30, at(15))
    assert pulls()[INTERACTIONS].rows == 1


def test_pull__a_title_that_changed__is_appended_once_more(server: FakeJellyfin, lake: Lake, pulls: Pull) -> None:
    pulls()
    server.movies[0] = movie(1, Name="Renamed")
    assert pulls()[TITLES].rows == 1
    assert pulls()[TITLES].rows == 0
    of_one = rows(lake, TITLES).filter(pl.col("content_ref") == item_id(1)).sort("staged_at")
    assert of_one["title"].to_list() == ["Movie 1", "Renamed"]


def test_pull__two_viewers__a_like_is_the_viewers_own(server: FakeJellyfin, lake: Lake, pulls: Pull) -> None:
    for number in (101, 102):
        server.plays(server.add_viewer(number), 1, at(1), IsFavorite=True)
    assert pulls()[INTERACTIONS].rows == 4
    assert rows(lake, INTERACTIONS)["user_ref"].n_unique() == 2


# --- pages that change between calls


def removing(fake: FakeJellyfin, count: int) -> Callable[[FakeJellyfin, dict[str, str]], None]:
    """Take items out of the beginning while a later page is asked for, once."""
    is_done: list[bool] = []

    def change(_: FakeJellyfin, query: dict[str, str]) -> None:
        if int(query["startIndex"]) > 0 and not is_done:
            is_done.append(True)
            gone = {item["Id"] for item in fake.listed(query)[:count]}
            fake.movies = [item for item in fake.movies if item["Id"] not in gone]

    return change


@pytest.mark.parametrize("count", [1, 9, 15])
def test_pull__items_removed_between_pages__none_of_the_others_is_lost(
    server: FakeJellyfin, lake: Lake, pulls: Pull, count: int
) -> None:
    server.movies = [movie(number) for number in range(1, 101)]
    server.before_page = removing(server, count)
    pulls(tables=(TITLES,))
    found = rows(lake, TITLES)["content_ref"].to_list()
    assert len(found) == len(set(found))
    assert {item["Id"] for item in server.movies} <= set(found)


def test_pull__items_inserted_between_pages__none_is_lost_or_doubled(
    server: FakeJellyfin, lake: Lake, pulls: Pull
) -> None:
    server.movies = [movie(number) for number in range(1, 101)]
    added: list[int] = []

    def insert(fake: FakeJellyfin, query: dict[str, str]) -> None:
        if int(query["startIndex"]) > 0 and len(added) < 7:
            added.append(200 + len(added))
            fake.movies.append(movie(added[-1], DateCreated=f"2025-01-01T00:00:{len(added):02}Z"))

    server.before_page = insert
    pulls(tables=(TITLES,))
    found = rows(lake, TITLES)["content_ref"].to_list()
    assert sorted(found) == sorted(item["Id"] for item in server.movies)


def test_pull__a_movie_played_while_the_plays_are_read__is_not_lost(
    server: FakeJellyfin, lake: Lake, pulls: Pull
) -> None:
    server.movies = [movie(number) for number in range(1, 101)]
    anna = server.add_viewer(101)
    for number in range(1, 101):
        server.plays(anna, number, at(1 + number % 9, number))
    oldest = min(range(1, 101), key=lambda number: at(1 + number % 9, number))

    def play(fake: FakeJellyfin, query: dict[str, str]) -> None:
        if query.get("isPlayed") and int(query["startIndex"]) > 20:
            fake.plays(anna, oldest, at(20), PlayCount=2)

    server.before_page = play
    pulls()
    assert set(rows(lake, INTERACTIONS)["content_ref"]) == {item["Id"] for item in server.movies}


# --- broken answers


@pytest.mark.parametrize(
    ("fault", "category", "field", "word"),
    [
        (Fault(401), Category.FORBIDDEN, "jellyfin.api_key", "refuses the key (401)"),
        (Fault(403), Category.FORBIDDEN, "jellyfin.api_key", "refuses the key (403)"),
        (Fault(404), Category.NOT_FOUND, "jellyfin.url", "knows no such thing"),
        (Fault(302, b"", {"Location": "https://elsewhere/"}), Category.INVALID, "jellyfin.url", "sends elsewhere"),
        (
            Fault(200, b"<html>Log in</html>", {"Content-Type": "text/html"}),
            Category.INVALID,
            "jellyfin.url",
            "not JSON",
        ),
        (Fault(200, b"", {}), Category.INVALID, "jellyfin.url", "not JSON"),
        (Fault(200, b"[1, 2]", JSON), Category.INVALID, "jellyfin.url", "another shape"),
        (Fault(200, b'{"Items": null}', JSON), Category.INVALID, "jellyfin.url", "another shape"),
        (Fault(429, b"", {"Retry-After": "900"}), Category.UNAVAILABLE, "jellyfin.url", "asks to wait 900 s"),
    ],
)
def test_pull__an_answer_that_stays_wrong__is_one_clear_error_and_nothing_is_written(
    server: FakeJellyfin, lake: Lake, pulls: Pull, fault: Fault, category: Category, field: str, word: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(NexusError) as caught:
        pulls()
    assert (caught.value.category, caught.value.evidence.get("field", caught.value.field)) == (category, field)
    assert word in caught.value.message
    assert caught.value.remedy
    assert "0123456789abcdef" not in str(caught.value)
    assert not lake.exists(TITLES)


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault(429, b"", {"Retry-After": "7"}), 7.0),
        (Fault(429), 0.5),
        (Fault(503, b"<html>starting</html>"), 0.5),
        (Fault(500), 0.5),
        (Fault(200, b'{"Items": [{"Id": "1", "Na', JSON), 0.5),
        (Fault(200, json.dumps({"Items": []}).encode(), JSON, cut_at=5), 0.5),
    ],
    ids=["429 with a time", "429", "503", "500", "half JSON", "a connection that ends early"],
)
def test_pull__an_answer_that_is_wrong_once__is_asked_for_again(
    server: FakeJellyfin, lake: Lake, pulls: Pull, waits: list[float], fault: Fault, wait: float
) -> None:
    server.faults.extend([None, fault])
    pulls(tables=(TITLES,))
    assert waits == [wait]
    assert rows(lake, TITLES).height == 30


def test_pull__retry_after_as_a_date__is_waited_for(server: FakeJellyfin, pulls: Pull, waits: list[float]) -> None:
    server.faults.append(Fault(503, b"", {"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)}))
    pulls(tables=(TITLES,))
    assert len(waits) == 1
    assert 25 < waits[0] <= 31


def test_pull__no_server__says_so_after_five_tries(lake: Lake, pulls: Pull, waits: list[float]) -> None:
    with pytest.raises(NexusError) as caught:
        pulls(url="http://127.0.0.1:1")
    assert caught.value.category is Category.UNAVAILABLE
    assert len(waits) == 4
    assert not lake.exists(TITLES)


def test_pull__a_server_that_hangs__is_given_up(server: FakeJellyfin, pulls: Pull) -> None:
    import threading

    hold = threading.Event()
    server.before_page = lambda *_: hold.wait(20)
    try:
        with pytest.raises(NexusError, match="Timeout") as caught:
            pulls(timeout_s=0.1)
    finally:
        hold.set()
        server.before_page = None
    assert caught.value.category is Category.UNAVAILABLE


def test_pull__a_wrong_key__names_the_setting(pulls: Pull) -> None:
    with pytest.raises(NexusError, match="refuses the key") as caught:
        pulls(key="wrong")
    assert caught.value.field == "jellyfin.api_key"


def test_pull__one_viewer_that_cannot_be_read__does_not_keep_the_others_out(
    server: FakeJellyfin, lake: Lake, pulls: Pull
) -> None:
    anna, bob = server.add_viewer(101), server.add_viewer(102)
    server.plays(anna, 1, at(1))
    server.plays(bob, 2, at(1))
    server.faults.extend([None, *[Fault(500)] * 5])
    with pytest.raises(NexusError, match="no whole answer"):
        pulls(tables=(INTERACTIONS,))
    assert rows(lake, INTERACTIONS)["user_ref"].to_list() == [bob]
    assert pulls(tables=(INTERACTIONS,))[INTERACTIONS].rows == 1
    assert sorted(rows(lake, INTERACTIONS)["user_ref"]) == sorted([anna, bob])


def test_pull__a_viewer_deleted_meanwhile__is_left_out(server: FakeJellyfin, pulls: Pull) -> None:
    anna = server.add_viewer(101)
    server.faults.extend([None, Fault(404)])
    assert pulls(tables=(INTERACTIONS,))[INTERACTIONS].gone == [anna]


# --- items that are not as documented


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"UserData": None}, "UserData"),
        ({"UserData": "x"}, "UserData"),
        ({"Id": None}, "Id"),
        ({"Id": 5}, "Id"),
        ({"UserData": seen(1, "yesterday")}, "LastPlayedDate"),
        ({"UserData": seen(1, at(1), Played="yes")}, "Played"),
        ({"UserData": seen(1, at(1), PlaybackPositionTicks="3")}, "PlaybackPositionTicks"),
    ],
)
def test_pull__an_item_that_is_not_as_documented__is_a_row_with_its_problem_and_the_rest_goes_on(
    server: FakeJellyfin, lake: Lake, pulls: Pull, change: dict[str, Any], field: str
) -> None:
    server.is_shaped = False
    anna = server.add_viewer(101)
    server.plays(anna, 2, at(2))
    normal = server.listed

    def listed(query: dict[str, str]) -> list[Any]:
        found = normal(query)
        return [movie(1, UserData=seen(1, at(1))) | change, *found] if query.get("isPlayed") else found

    server.listed = listed  # type: ignore[method-assign]
    assert pulls()[INTERACTIONS].rows == 2
    broken = rows(lake, INTERACTIONS).filter(pl.col("problem").is_not_null())
    assert broken["problem_field"].to_list() == [field]
    assert pulls()[INTERACTIONS].rows == 0


def test_pull__unknown_fields_and_missing_ones__are_taken_as_they_are(
    server: FakeJellyfin, lake: Lake, pulls: Pull
) -> None:
    server.is_shaped = False
    server.movies = [
        {"Id": item_id(1), "Type": "Movie", "Name": "Only a name", "Brand": {"new": [1]}},
        {"Id": item_id(2), "Type": "Movie"},
        movie(3, ProviderIds=None, Genres=None, ProductionYear=None, Overview=None),
    ]
    anna = server.add_viewer(101)
    server.data[anna][item_id(1)] = {"Key": "1", "Played": True, "Surprise": 1}
    done = pulls()
    assert (done[TITLES].rows, done[INTERACTIONS].rows) == (3, 1)
    assert rows(lake, INTERACTIONS)["occurred_at"].item().isdigit()
    assert rows(lake, TITLES).filter(pl.col("content_ref") == item_id(2))["title"].to_list() == [None]


def test_pull__an_episode__carries_its_series_and_number(server: FakeJellyfin, lake: Lake, pulls: Pull) -> None:
    server.movies = [movie(1, Type="Episode", Name="Pilot", SeriesName="Lost", ParentIndexNumber=1, IndexNumber=2)]
    pulls(tables=(TITLES,))
    assert rows(lake, TITLES).select("title", "content_type").row(0) == ("Lost S01E02: Pilot", "episode")


def test_pull__without_settings__names_the_one_that_is_missing(lake: Lake) -> None:
    from media.sources.jellyfin.pull import pull
    from nexus.settings import JellyfinSettings

    with pytest.raises(NexusError, match="not set up") as caught:
        pull(lake, JellyfinSettings())
    assert caught.value.field == "jellyfin.url"
