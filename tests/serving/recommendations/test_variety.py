"""Diversity and exploration: off they change nothing, on they do what they say, and never show what may not be shown."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.content.vectors import top
from serving.recommendations import rungs
from serving.recommendations.variety import DAY_MS, Variety, draw_of
from serving.viewers.viewer import Viewer
from tests.serving.recommendations.test_rungs import IN_MODEL, NOW_MS, USER, entry, library

pytestmark = pytest.mark.unit
COUNT, WIDTH = 60, 8


def vectors(seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((COUNT, WIDTH)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def likeness(chosen: np.ndarray, of: np.ndarray) -> float:
    """Mean cosine of the pairs of a list."""
    near = of[chosen] @ of[chosen].T
    return float(near[np.triu_indices(len(chosen), 1)].mean())


@given(
    scores=arrays.arrays(np.float32, COUNT, elements=st.floats(-5, 5, width=32) | st.just(-np.inf)),
    limit=st.integers(0, 40),
    diversity=st.floats(0, 1),
    exploration=st.floats(0, 5),
)
def test_chosen__any_setting__shows_as_many_allowed_titles_each_once(scores, limit, diversity, exploration) -> None:
    of = vectors()
    chosen = Variety(diversity, exploration).chosen(scores, limit, lambda rows: of[rows], draw=1)
    assert len(chosen) == len(set(chosen.tolist())) == min(limit, int(np.isfinite(scores).sum()))
    assert np.isfinite(scores[chosen]).all()


def test_chosen__both_off__is_the_model_order_and_asks_for_no_vectors() -> None:
    scores = np.random.default_rng(1).standard_normal(COUNT)

    def none_asked(_: np.ndarray) -> np.ndarray:
        raise AssertionError

    assert Variety().chosen(scores, 10, none_asked, draw=1).tolist() == top(scores, 10).tolist()


def test_chosen__more_diversity__less_alike_and_the_best_title_first() -> None:
    of = np.repeat(vectors()[:12], 5, axis=0)  # five titles of each kind, and the best are of few kinds
    scores = -np.arange(COUNT, dtype=np.float64)
    lists = [Variety(one).chosen(scores, 10, lambda rows: of[rows], draw=1) for one in (0.0, 0.3, 0.7)]
    alike = [likeness(chosen, of) for chosen in lists]
    assert alike[0] > alike[1] >= alike[2]
    assert {chosen[0] for chosen in lists} == {0}
    assert len({int(place) // 5 for place in lists[2]}) == 10


def test_chosen__exploration__is_the_same_for_a_draw_and_better_titles_come_more_often() -> None:
    scores = np.linspace(0, 3, COUNT)
    variety = Variety(exploration=1.0)
    lists = [variety.chosen(scores, 5, lambda rows: rows[:, None], draw=draw) for draw in range(300)]
    assert (lists[0] == variety.chosen(scores, 5, lambda rows: rows[:, None], draw=0)).all()
    shown = np.bincount(np.concatenate(lists), minlength=COUNT)
    assert (shown[-25:] > 0).all()
    assert shown[-5:].sum() > 2 * shown[-25:-20].sum() > 0
    assert not shown[:-25].any()


def test_draw_of__viewer_and_day__changes_with_either() -> None:
    assert draw_of(USER, 0) == draw_of(USER, DAY_MS - 1)
    assert len({draw_of(USER, 0), draw_of(USER, DAY_MS), draw_of(UUID(int=2), 0)}) == 3


@pytest.mark.parametrize("variety", [Variety(0.5), Variety(exploration=1.0), Variety(0.5, 1.0)])
def test_champion_rung__with_variety__still_explains_every_title_it_shows(variety: Variety) -> None:
    viewer = Viewer(USER, [entry(name) for name in IN_MODEL[:3]])
    plain = rungs.champion_rung(library(), viewer, [], 5, NOW_MS)
    picks = rungs.champion_rung(library(), viewer, [], 5, NOW_MS, variety)
    assert [pick.content_id for pick in picks] != [pick.content_id for pick in plain]
    assert not {pick.content_id for pick in picks} & viewer.barred()
    for pick in picks:
        assert sum(part for _, part in pick.because) + pick.static == pytest.approx(pick.score, abs=1e-5)
