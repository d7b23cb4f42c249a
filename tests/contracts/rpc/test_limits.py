"""How often an endpoint is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.client.rpc.limits import TokenBucket

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_bucket__burst_then_rate__waits_as_long_as_it_takes() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, now=clock)
    bucket.take(2)
    assert bucket.wait_s() == pytest.approx(0.5)
    clock.at += 0.5
    assert bucket.wait_s() == 0.0


def test_bucket__batch_larger_than_the_burst__is_paid_for_by_the_next() -> None:
    clock = Clock()
    bucket = TokenBucket(10.0, now=clock)
    assert bucket.wait_s() == 0.0
    bucket.take(100)
    assert bucket.wait_s() == pytest.approx(9.1)


def test_bucket__closed__lets_nobody_pass_until_then() -> None:
    clock = Clock()
    bucket = TokenBucket(None, now=clock)
    bucket.close_for(3.0)
    bucket.close_for(1.0)
    assert bucket.wait_s() == pytest.approx(3.0)
    clock.at += 3.0
    assert bucket.wait_s() == 0.0


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 30)), max_size=40), st.floats(0.5, 50))
def test_bucket__any_order_of_takers__never_lets_more_through_than_rate_and_burst(
    takers: list[tuple[float, int]], rate: float
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, now=clock)
    began, largest, taken = clock.at, 1, 0
    for pause, count in takers:
        clock.at += pause + bucket.wait_s() + 1e-9
        bucket.take(count)
        taken, largest = taken + count, max(largest, count)
    assert taken <= rate * (clock.at - began) + max(1.0, rate) + largest + 1e-6
