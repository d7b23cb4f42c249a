from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus import events, ids
from nexus.errors import Category, NexusError

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "event_id": "e-1",
    "type": "rate",
    "user": "movielens:1",
    "content": "movielens:2",
    "value": 4.5,
    "at": "2026-11-23T10:00:00+01:00",
}


def test_parse__good_event__is_typed_and_in_utc() -> None:
    event, reference = events.parse(GOOD, now=NOW)
    assert event.occurred_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert event.content_id == ids.internal("content", ids.Reference("movielens", "2"))
    assert reference == ids.Reference("movielens", "2")
    assert event.value == 4.5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": None}, "event_id"),
        ({"event_id": "a b"}, "event_id"),
        ({"event_id": "x" * 129}, "event_id"),
        ({"type": "watch"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["rate"]}, "type"),
        ({"user": "nobody"}, "user"),
        ({"content": 3}, "content"),
        ({"value": None}, "value"),
        ({"value": 0}, "value"),
        ({"value": 5.5}, "value"),
        ({"value": True}, "value"),
        ({"value": "4"}, "value"),
        ({"value": float("nan")}, "value"),
        ({"type": "like"}, "value"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-11-23T10:00:00"}, "at"),
        ({"at": 1700000000}, "at"),
        ({"at": "2026-11-24T10:00:00Z"}, "at"),
        ({"at": "1960-01-01T00:00:00Z"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_parse__bad_field__is_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(NexusError) as caught:
        events.parse(GOOD | change, now=NOW)
    assert caught.value.category is Category.INVALID
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize("raw", [None, [], "rate", 3])
def test_parse__not_an_object__is_refused(raw: object) -> None:
    with pytest.raises(NexusError, match="JSON object"):
        events.parse(raw, now=NOW)


@given(
    st.dictionaries(
        st.sampled_from(["event_id", "type", "user", "content", "value", "at", "x"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=20),
            st.lists(st.integers(), max_size=2),
        ),
    )
)
def test_parse__anything__is_an_event_or_a_named_refusal(raw: dict[str, Any]) -> None:
    try:
        event, _ = events.parse(raw, now=NOW)
    except NexusError as error:
        assert error.field  # noqa: PT017 - either outcome is right, a crash is not
    else:
        assert event.occurred_at <= NOW


def test_check_time__slightly_fast_clock__is_now() -> None:
    assert events.check_time((NOW + timedelta(minutes=1)).isoformat(), now=NOW) == NOW


def test_accept_arguments__one_event__seven_arguments_and_equal_members() -> None:
    event, _ = events.parse(GOOD, now=NOW)
    first, second = events.accept_arguments([event]), events.accept_arguments([event])
    assert first == second
    assert len(first) == 2 + 7
    assert events.HistoryEntry.model_validate(orjson.loads(first[8])).event_id == "e-1"
