"""Reading a body of events."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.errors import NexusError
from serving.events.service import parse_events, read_events

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 23, tzinfo=UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
wild = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(["view", "rate", "movielens:1", "2024-01-01T00:00:00Z"])
        for name in ("event_id", "type", "user", "content", "value", "at")
    },
)


@given(st.binary(max_size=200))
def test_read_events__any_bytes__a_list_or_one_clear_error(body) -> None:
    outcome: object
    try:
        outcome = read_events(body)
    except NexusError as error:
        outcome = error
    if isinstance(outcome, NexusError):
        assert (int(outcome.status), bool(outcome.field), bool(outcome.remedy)) == (422, True, True)
    else:
        assert isinstance(outcome, list)


@given(st.lists(wild | json_values, max_size=10))
def test_parse_events__any_json__each_is_parsed_or_refused_by_name(raw) -> None:
    refused: list[dict] = []
    parsed = parse_events(raw, NOW, refused)
    assert sorted([one.place for one in parsed] + [one["index"] for one in refused]) == list(range(len(raw)))
    assert all(one["field"] and one["reason"] for one in refused)
    orjson.dumps(refused)
