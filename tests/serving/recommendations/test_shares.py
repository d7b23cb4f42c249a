"""What each title of a history added: in order, and as far as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.recommendations.shares import NONE, Shares

pytestmark = pytest.mark.unit


@given(st.lists(st.floats(-5, 5, width=32), max_size=30), st.integers(0, 40))
def test_first__any_parts__are_the_greatest_in_the_order_of_the_history(parts: list[float], count: int) -> None:
    names = [f"title {place}" for place in range(len(parts))]
    shares = Shares(names, np.array(parts, dtype=np.float32))
    whole = list(shares)
    assert shares.first(count) == whole[:count]
    assert whole == sorted(zip(names, parts, strict=True), key=lambda one: (-one[1], names.index(one[0])))
    assert shares.total == pytest.approx(sum(parts), abs=1e-4)
    assert len(shares) == len(parts)


def test_none__of_anything__adds_nothing() -> None:
    assert (len(NONE), NONE.total, NONE.first(3)) == (0, 0.0, [])
