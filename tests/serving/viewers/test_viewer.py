"""Rules over a history."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.events import Event, EventType, HistoryEntry
from serving.viewers.memory import Memory
from serving.viewers.store import member
from serving.viewers.viewer import Viewer, from_entries, from_members, hidden_by, merge, signal

pytestmark = pytest.mark.unit

entries = st.builds(
    HistoryEntry,
    event_id=st.text(min_size=1, max_size=20),
    type=st.sampled_from(EventType),
    content_id=st.uuids(),
    value=st.none() | st.floats(0, 5, allow_nan=False),
    at_ms=st.integers(0, 2**41),
)


@given(st.lists(entries, max_size=20))
def test_member__of_an_entry_read_from_the_database__is_the_one_the_accept_script_wrote(written) -> None:
    assert [member(one) for one in from_entries(written)] == [one.member() for one in written]
    read = from_members([one.member() for one in written])
    assert read == sorted(from_entries(written), key=lambda one: (one["at_ms"], one["event_id"]), reverse=True)


def test_from_members__one_is_damaged__the_others_are_read() -> None:
    good = HistoryEntry(event_id="e", type=EventType.VIEW, content_id=UUID(int=1), at_ms=1).member()
    assert len(from_members([good, b"{", good])) == 2


@given(st.lists(entries, max_size=20), st.lists(entries, max_size=20))
def test_merge__overlapping_sources__each_event_once_newest_first(one, other) -> None:
    merged = merge(from_entries(one), from_entries(other), from_entries(one))
    assert len(merged) == len({entry.event_id for entry in one + other})
    assert [entry["at_ms"] for entry in merged] == sorted((entry["at_ms"] for entry in merged), reverse=True)


@pytest.mark.parametrize(
    ("kind", "value", "told"), [("rate", 4.0, 0.8), ("view", 1.0, 0.0), ("like", None, 1.0), ("dislike", None, 0.1)]
)
def test_signal__each_type__as_the_model_was_taught(kind, value, told) -> None:
    assert signal({"event_id": "e", "type": kind, "content_id": "c", "value": value, "at_ms": 1}) == pytest.approx(told)


def _event(number: int, kind: EventType, content: int, user: int = 1) -> Event:
    at = datetime.fromtimestamp(number, UTC)
    return Event(
        event_id=f"e{number}",
        type=kind,
        user_id=UUID(int=user),
        user_ref=str(UUID(int=user)),
        content_id=UUID(int=content),
        occurred_at=at,
        received_at=at,
    )


def test_memory__accepted_events__are_known_hidden_and_bounded() -> None:
    memory = Memory(at_most=2)
    memory.keep(Viewer(UUID(int=1), (), frozenset({str(UUID(int=9))})))
    memory.accept([_event(1, EventType.VIEW, 5), _event(2, EventType.HIDE, 6), _event(3, EventType.UNHIDE, 9)])
    kept, hidden = memory.get(UUID(int=1))
    assert [entry["type"] for entry in kept] == ["unhide", "hide", "view"]
    assert hidden == {str(UUID(int=6))}
    memory.accept([_event(4, EventType.VIEW, 5, user=2), _event(5, EventType.VIEW, 5, user=3)])
    assert UUID(int=1) not in memory


def test_hidden_by__hide_unhide_hide__the_last_one_counts() -> None:
    hide = {"event_id": "a", "type": "hide", "content_id": "c", "value": None, "at_ms": 1}
    shown = hide | {"type": "unhide", "at_ms": 2}
    assert hidden_by([shown, hide]) == frozenset()
    assert hidden_by([hide | {"at_ms": 3}, shown, hide]) == {"c"}
