from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.text.describe import MAX_OVERVIEW, describe, text_hash

pytestmark = pytest.mark.unit

genres = st.lists(st.text(max_size=12), max_size=5)


@pytest.mark.parametrize(
    ("title", "year", "kinds", "overview", "expected"),
    [
        ("Toy Story", 1995, ["Children", "Adventure"], None, "Toy Story (1995). Adventure, Children."),
        ("Toy Story (1995)", 1995, [], None, "Toy Story (1995)."),
        ("  What?  ", None, ["(no genres listed)"], " It  ends. ", "What? It ends."),
        ("M", None, [], "", "M."),
    ],
)
def test_describe__facts__become_one_line(
    title: str, year: int | None, kinds: list[str], overview: str | None, expected: str
) -> None:
    assert describe(title, year, kinds, overview) == expected


@given(st.text(min_size=1), st.none() | st.integers(1800, 2200), genres, st.none() | st.text())
def test_describe__any_facts__is_one_bounded_line_that_ignores_the_order_of_genres(
    title: str, year: int | None, kinds: list[str], overview: str | None
) -> None:
    text = describe(title, year, kinds, overview)
    assert text == describe(title, year, [*reversed(kinds), *kinds], overview)
    assert "\n" not in text
    assert len(text) <= len(title) + 100 + MAX_OVERVIEW


def test_text_hash__other_text_or_model__differs() -> None:
    hashes = {text_hash("a", "m"), text_hash("b", "m"), text_hash("a", "n"), text_hash("a", "m")}
    assert len(hashes) == 3
