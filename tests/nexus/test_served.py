"""The id of an answer, and the columns by which the lake finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus import served
from nexus.lake.catalogue import declared

pytestmark = pytest.mark.unit

RECORD = {
    "recommendation_id": str(UUID(int=7)),
    "user_id": str(UUID(int=1)),
    "served_at": "2026-11-23T10:00:00Z",
    "rung": "champion",
    "model_version": "3",
    "data_version": 12,
    "data_hash": "abc",
    "history": [{"event_id": "e-1", "content_id": str(UUID(int=2))}],
    "titles": [],
}


def test_new_id__made_now__is_of_version_seven_and_says_when() -> None:
    made = [served.new_id() for _ in range(50)]
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert len(set(made)) == 50
    moment = served.moment_of(made[0])
    assert moment is not None
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_moment_of__another_kind_of_uuid__is_unknown() -> None:
    assert served.moment_of(uuid4()) is None


def test_columns__a_record__shows_what_it_says() -> None:
    found = served.columns(orjson.dumps(RECORD).decode())
    assert found == {
        "recommendation_id": str(UUID(int=7)),
        "user_id": str(UUID(int=1)),
        "served_at": "2026-11-23T10:00:00Z",
        "rung": "champion",
        "model_version": "3",
        "data_version": "12",
    }
    assert set(found) < set(declared(served.TABLE).schema.names)


@given(
    st.text(max_size=50)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(list(RECORD.values())[:6]),
        lambda inner: st.dictionaries(st.sampled_from(list(RECORD)), inner, max_size=9) | st.lists(inner, max_size=2),
        max_leaves=8,
    ).map(lambda value: orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode() if _fits(value) else "x")
)
def test_columns__any_body__never_raises(body: str) -> None:
    assert set(served.columns(body)) == set(served.NAMES)


def _fits(value: object) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True
