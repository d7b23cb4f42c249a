"""Titles that nobody had met when the model was made: which are shown, why, and never one that must not be."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.content.catalogue import Catalogue, Title
from serving.content.vectors import Vectors
from serving.recommendations import rungs, service
from serving.recommendations.library import Library
from serving.recommendations.newcomers import Newcomers
from serving.recommendations.reasons import explanation, reason
from serving.recommendations.rungs import Source
from serving.recommendations.variety import AS_MEASURED
from serving.viewers.viewer import Viewer
from tests.serving.recommendations.test_rungs import IN_MODEL, NAMES, NOW_MS, USER, FakeChampion, entry, viewers
from training.content.describer import Describer
from training.content.served import Projection, Served

pytestmark = pytest.mark.unit

MET = IN_MODEL[:16]
WAITING = IN_MODEL[16:18]
NEW = NAMES[20:]
GENRES = ("Crime", "Space")
DIMENSIONS = 4


def genre(name: str) -> str:
    return GENRES[NAMES.index(name) % 2]


def projection(sign: float = 1.0) -> Projection:
    """Each title asks for its own genre, and a little for its text."""
    random = np.random.default_rng(6)
    describer = Describer(GENRES, 5.0, np.zeros(DIMENSIONS), np.eye(DIMENSIONS))
    rows = describer.rows([(genre(name),) for name in MET], [1990] * len(MET), text(MET))
    own = np.zeros(describer.width, np.float32)
    own[describer.blocks["genres"]], own[describer.blocks["text"]] = 1.0, 0.1
    arrays = {
        "titles": np.arange(1, len(MET) + 1),
        "left": (sign * rows * own).astype(np.float16),
        "scale": random.uniform(0.5, 1.0, len(MET)).astype(np.float32),
        "own": sign * own,
        "popular": np.where(np.arange(describer.width) == 0, np.float32(0.25), np.float32(0)),
        "reference": rows.astype(np.float16),
        "mean": np.zeros(DIMENSIONS, np.float32),
        "axes": np.eye(DIMENSIONS, dtype=np.float32),
    }
    made = Projection(Served(genres=GENRES, years_width=5.0, last=3, decay=0.5), arrays)
    assert made.complaint(len(IN_MODEL) + 1) is None
    return made


def text(names: list[str]) -> np.ndarray:
    matrix = np.random.default_rng(8).normal(size=(len(NAMES), DIMENSIONS)).astype(np.float32)
    return matrix[[NAMES.index(name) for name in names]]


def library(content: Projection | None, floor: float = 0.0, without_vector: str | None = None) -> Library:
    champion = FakeChampion()
    champion.content = content
    titles = [Title(name, f"Title {n}", year=1990, genres=(genre(name),)) for n, name in enumerate(NAMES)]
    known = [name for name in NAMES if name != without_vector]
    held = Library(Catalogue(titles), Vectors(known, text(known)), champion)  # type: ignore[arg-type]
    if held.newcomers is not None:
        held.newcomers.floor = floor
    return held


def watched(*names: str, kind: str = "view", value: float | None = None) -> Viewer:
    return Viewer(USER, [entry(name, kind, value, NOW_MS - place) for place, name in enumerate(names)])


def test_new_titles__one_kind_watched__that_kind_comes_first_with_an_exact_reason() -> None:
    held = library(projection())
    viewer = watched(MET[0], MET[2], NEW[0])
    picks = rungs.new_titles(held, viewer, 4)
    assert [genre(pick.content_id) for pick in picks] == [genre(MET[0])] * 4
    assert all(pick.is_new for pick in picks)
    content, catalogue = projection(), held.catalogue
    for pick in picks:
        row = content.describer.rows([(genre(pick.content_id),)], [1990], text([pick.content_id]))[0]
        own = content.describer.rows([(genre(NEW[0]),)], [1990], text([NEW[0]]))[0] * content.arrays["own"]
        left = content.arrays["left"][[0, 2]].astype(np.float32) * content.arrays["scale"][[0, 2], None]
        parts = {MET[0]: left[0] @ row, MET[2]: 0.5 * left[1] @ row, NEW[0]: 0.25 * own @ row}
        assert dict(pick.because) == pytest.approx(parts, abs=1e-5)
        assert pick.score == pytest.approx(sum(parts.values()) + 0.25, abs=1e-5)
        why = explanation(pick, catalogue)
        assert sum(one["contribution"] for one in why["history"]) + why["static"] == pytest.approx(pick.score, abs=1e-5)
        named = catalogue.name(next(iter(pick.because))[0])
        start = "Nobody here has watched it yet" if pick.content_id in WAITING else "New in your library"
        assert reason(pick, Source.CHAMPION, catalogue)["text"].startswith(f"{start}, close to {named}")


def test_new_titles__title_of_the_vocabulary_that_nobody_watched__is_new_and_stands_once_in_the_list() -> None:
    held = library(projection())
    assert held.newcomers is not None
    assert set(held.newcomers.content_ids) == {*NEW, *NAMES[16:20]}
    viewer = watched(*MET[:3])
    fresh_of = partial(rungs.new_titles, held, viewer)
    picks = service._champion(held, viewer, [], 100, AS_MEASURED, fresh_of, held.vectors_of_positions)
    names = [pick.content_id for pick in picks]
    assert len(names) == len(set(names))
    assert set(names) >= set(WAITING)


@given(viewer=viewers, limit=st.integers(0, 40), floor=st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_new_titles__any_viewer__never_a_seen_hidden_or_met_title_and_each_has_a_reason(viewer, limit, floor) -> None:
    picks = rungs.new_titles(library(projection(), floor), viewer, limit)
    names = [pick.content_id for pick in picks]
    assert len(names) == len(set(names)) <= limit
    assert not set(names) & (viewer.barred() | set(MET))
    assert [pick.score for pick in picks] == sorted((pick.score for pick in picks), reverse=True)
    disliked = {one["content_id"] for one in viewer.watched() if one["type"] == "dislike"}
    for pick in picks:
        assert pick.because.total > 0
        assert not {name for name, _ in pick.because} & disliked
        assert sum(part for _, part in pick.because) + pick.static == pytest.approx(pick.score, abs=1e-5)


@pytest.mark.parametrize(
    "viewer",
    [
        watched(),
        watched(str(UUID(int=5))),
        watched(MET[0], kind="dislike"),
        watched(MET[0], MET[1], kind="rate", value=2.0),
        watched(MET[0], kind="hide"),
    ],
    ids=["nothing", "a title that is gone", "disliked", "rated low", "hidden"],
)
def test_new_titles__history_that_speaks_for_nothing__none(viewer: Viewer) -> None:
    assert rungs.new_titles(library(projection()), viewer, 5) == []


def test_new_titles__history_that_speaks_against_them__none() -> None:
    assert rungs.new_titles(library(projection(sign=-1.0)), watched(*MET[:3]), 5) == []


def test_new_titles__floor__only_what_scores_higher_than_that_share_of_ordinary_titles() -> None:
    viewer = watched(MET[0], MET[2])
    every = rungs.new_titles(library(projection()), viewer, 40)
    some = rungs.new_titles(library(projection(), floor=0.8), viewer, 40)
    assert 0 < len(some) < len(every)
    assert [pick.content_id for pick in some] == [pick.content_id for pick in every][: len(some)]


def test_new_titles__title_without_a_vector__is_ranked_by_genre_and_year() -> None:
    held = library(projection(), without_vector=NEW[0])
    (found,) = [p for p in rungs.new_titles(held, watched(MET[0]), 40) if p.content_id == NEW[0]]
    assert found.score == pytest.approx(float(projection().arrays["scale"][0]) + 0.25, abs=1e-3)


def test_new_titles__library_without_vectors_or_titles__no_error() -> None:
    champion = FakeChampion()
    champion.content = projection()
    bare = Library(Catalogue([Title(NEW[0], "x")]), Vectors(), champion)  # type: ignore[arg-type]
    assert rungs.new_titles(bare, watched(MET[0]), 3) == []  # nothing is known of it, so nothing speaks for it
    empty = Library(Catalogue(), Vectors(), champion)  # type: ignore[arg-type]
    assert rungs.new_titles(empty, watched(MET[0]), 3) == []


def test_new_titles__bundle_of_before__likeness_of_text_and_outside_the_vocabulary_alone() -> None:
    held = library(None)
    assert held.newcomers is None
    picks = rungs.new_titles(held, watched(*MET[:5]), 40)
    assert picks
    assert {pick.content_id for pick in picks} <= set(NEW)
    assert all(len(pick.because) == 1 for pick in picks)


def test_newcomers__many_titles__are_described_in_blocks_like_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = library(projection()).newcomers
    monkeypatch.setattr("serving.recommendations.newcomers.BLOCK", 3)
    parts = library(projection()).newcomers
    assert isinstance(whole, Newcomers)
    assert isinstance(parts, Newcomers)
    assert parts.content_ids == whole.content_ids
    asking = whole.asking(watched(*MET[:3]))
    assert asking is not None
    assert np.allclose(parts.scores(asking, ()), whole.scores(asking, ()), atol=1e-6)
