"""The greatest scores and the nearest titles, by selection: the same as by sorting everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.content.vectors import Vectors, top

pytestmark = pytest.mark.unit
FEW = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.nan])


@given(scores=arrays.arrays(np.float32, st.integers(0, 40), elements=FEW), count=st.integers(-1, 50))
def test_top__many_ties__is_the_beginning_of_a_stable_sort(scores, count) -> None:
    whole = [row for row in np.argsort(-scores, kind="stable").tolist() if np.isfinite(scores[row])]
    assert top(scores, count).tolist() == whole[: max(0, count)]


@pytest.mark.parametrize("barred", [0, 3, 40])
def test_nearest__some_excluded__is_what_a_full_sort_finds(barred: int) -> None:
    random = np.random.default_rng(barred)
    matrix = random.normal(size=(200, 16)).astype(np.float32)
    names = [f"t{number}" for number in range(200)]
    vectors = Vectors(names, matrix)
    query = random.normal(size=16).astype(np.float32)
    order = [names[row] for row in np.argsort(-(vectors.matrix @ query), kind="stable")]
    found = vectors.nearest(query, 10, frozenset(order[:barred]))
    assert [name for name, _ in found] == order[barred : barred + 10]


@pytest.mark.parametrize(("total", "is_whole"), [(None, True), (3, True), (4, False)])
def test_vectors__more_titles_have_one_than_are_held__are_not_whole(total: int | None, is_whole: bool) -> None:
    vectors = Vectors(["a", "b", "c"], np.eye(3, dtype=np.float32), total)
    assert (vectors.is_whole, vectors.total) == (is_whole, total or 3)
