"""The rules of every rung, on arrays."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.content.catalogue import Catalogue, Title
from serving.content.vectors import Vectors
from serving.recommendations import rungs
from serving.recommendations.library import Library
from serving.recommendations.reasons import explanation, joined, reason
from serving.recommendations.rungs import NothingToSay, Pick, Source
from serving.recommendations.shares import Shares
from serving.viewers.viewer import Viewer

pytestmark = pytest.mark.unit

USER = UUID(int=1)
COUNT = 30
NAMES = [str(UUID(int=1000 + number)) for number in range(COUNT)]
IN_MODEL = NAMES[:20]
GONE = NAMES[18:20]  # the model knows them, the catalogue does not
NOW_MS = 1_700_000_000_000


class FakeChampion:
    """Scores with fixed numbers, in the form of the real one."""

    history_length = 5
    version = "7"
    content = None

    def __init__(self, *, static: float = 0.0, sign: float = 1.0) -> None:
        self.vocabulary = ("", *IN_MODEL)
        self.index = {name: position for position, name in enumerate(self.vocabulary) if position}
        self.manifest = SimpleNamespace(context_features=())
        self.asked: list[list[int]] = []
        self.counts: list[int] = []
        self.parts = ("counts", "static")
        self._weight = sign * np.random.default_rng(3).uniform(0.1, 1, (21, 21)).astype(np.float32)
        self._static = static

    def ask(self, items, values, ages_days, _context) -> list[int]:
        self.asked.append(list(items))
        assert len(items) == len(values) == len(ages_days) <= self.history_length
        assert min(ages_days) >= 0
        return list(items)

    def scores(self, asked: list[int]) -> np.ndarray:
        return self._weight[asked].sum(axis=0) + np.float32(self._static)

    def explained(self, asked: list[int], titles: list[int]) -> tuple[np.ndarray, np.ndarray]:
        assert 0 < len(titles) == len(set(titles))
        self.counts.append(len(titles))
        found = np.zeros((self.history_length, len(titles)), np.float32)
        found[self.history_length - len(asked) :] = self._weight[np.ix_(asked, titles)]
        return found, np.stack([found.sum(axis=0), np.full(len(titles), self._static, np.float32)])


def library(champion: FakeChampion | None = None) -> Library:
    titles = [
        Title(name, f"Title {number}", popularity_score=float(number % 7), interactions=number)
        for number, name in enumerate(NAMES)
        if name not in GONE
    ]
    matrix = np.random.default_rng(4).normal(size=(COUNT, 16)).astype(np.float32)
    return Library(Catalogue(titles), Vectors(NAMES, matrix), champion or FakeChampion())  # type: ignore[arg-type]


def entry(name: str, kind: str = "view", value: float | None = None, at_ms: int = NOW_MS) -> dict:
    return {"event_id": f"{name}-{kind}-{at_ms}", "type": kind, "content_id": name, "value": value, "at_ms": at_ms}


events = st.lists(
    st.builds(
        entry,
        st.sampled_from(NAMES),
        st.sampled_from(["view", "like", "dislike", "share", "hide", "unhide"]),
        at_ms=st.integers(NOW_MS - 10**10, NOW_MS + 1000),
    ),
    max_size=40,
)
viewers = st.builds(
    lambda entries, hidden: Viewer(USER, sorted(entries, key=lambda one: -one["at_ms"]), frozenset(hidden)),
    events,
    st.sets(st.sampled_from(NAMES)),
)


@given(viewer=viewers, limit=st.integers(1, 100))
def test_every_rung__any_viewer__never_a_seen_hidden_or_unknown_title_and_never_one_twice(viewer, limit) -> None:
    held = library()
    answers = [rungs.popular_rung(held, viewer, limit), rungs.new_titles(held, viewer, limit)]
    for rung in (
        lambda: rungs.champion_rung(held, viewer, [], limit, NOW_MS),
        lambda: rungs.content_rung(held, viewer, limit),
    ):
        try:
            answers.append(rung())
        except NothingToSay:
            assert not viewer.watched() or not any(one["content_id"] in IN_MODEL for one in viewer.watched())
    answers.append(rungs.with_new_titles(answers[0], answers[1], limit) if len(answers) == 4 else [])
    for picks in answers[:4]:
        names = [pick.content_id for pick in picks]
        assert len(names) == len(set(names)) <= limit
        assert not set(names) & (viewer.barred() | set(GONE))


@given(viewer=viewers)
def test_champion__any_viewer__scores_descend_and_contributions_add_up(viewer) -> None:
    try:
        picks = rungs.champion_rung(library(FakeChampion(static=0.5)), viewer, [], 10, NOW_MS)
    except NothingToSay:
        return
    assert [pick.score for pick in picks] == sorted((pick.score for pick in picks), reverse=True)
    for pick in picks:
        assert sum(part for _, part in pick.because) + pick.static == pytest.approx(pick.score, abs=1e-5)
        assert pick.static == pytest.approx(0.5, abs=1e-5)
        assert [name for name, _ in pick.parts] == ["counts", "static"]
        assert sum(value for _, value in pick.parts) == pytest.approx(pick.score, abs=1e-5)


def test_champion__long_history__newest_titles_at_the_right_each_once() -> None:
    champion = FakeChampion()
    seen = [
        entry(name, at_ms=NOW_MS - place) for place, name in enumerate([*IN_MODEL[:3], IN_MODEL[0], *IN_MODEL[3:9]])
    ]
    rungs.champion_rung(library(champion), Viewer(USER, seen), [], 3, NOW_MS)
    assert champion.asked == [[5, 4, 3, 2, 1]]


@pytest.mark.parametrize(("limit", "explained"), [(3, [3]), (100, [len(IN_MODEL) - len(GONE) - 1]), (0, [])])
def test_champion__any_limit__contributions_are_asked_once_and_for_the_chosen_alone(limit, explained) -> None:
    champion = FakeChampion()
    picks = rungs.champion_rung(library(champion), Viewer(USER, [entry(IN_MODEL[0])]), [], limit, NOW_MS)
    assert champion.counts == explained
    assert [len(picks)] == (explained or [0])


@pytest.mark.parametrize(
    ("limit", "places"), [(1, []), (4, []), (5, [4]), (9, [8]), (10, [9]), (14, [9]), (15, [9, 14]), (20, [9, 19])]
)
def test_slots__a_limit__last_of_each_ten(limit, places) -> None:
    assert rungs.slots(limit) == places


def test_with_new_titles__fewer_picks_than_places__nothing_is_lost() -> None:
    merged = rungs.with_new_titles([Pick("a", 1.0)], [Pick("b", 0.9, is_new=True)], 10)
    assert [pick.content_id for pick in merged] == ["a", "b"]


def test_reason__only_negative_contributions__says_popular_and_names_nobody() -> None:
    held = library(FakeChampion(sign=-1.0))
    (pick,) = rungs.champion_rung(held, Viewer(USER, [entry(IN_MODEL[0])]), [], 1, NOW_MS)
    assert reason(pick, Source.CHAMPION, held.catalogue) == {"text": "Popular right now", "because": []}
    assert explanation(pick, held.catalogue)["history"][0]["contribution"] < 0


def test_reason__several_contributions__at_most_three_positive_greatest_first() -> None:
    held = library()
    parts = Shares(NAMES[:5], np.array([0.5, 0.3, 0.2, 0.1, -0.4]))
    said = reason(Pick("x", 1.0, parts), Source.CHAMPION, held.catalogue)
    assert said["text"] == "Because you watched Title 0 and Title 1"
    assert [one["contribution"] for one in said["because"]] == [0.5, 0.3, 0.2]


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C"], "A, B and C")]
)
def test_joined__names__reads_as_a_sentence(names, text) -> None:
    assert joined(names) == text
