"""The page of events: types, values, and what each does.

Belongs here: reading nexus.events. Does not belong here: the rules themselves.
"""

from __future__ import annotations

from nexus import events
from nexus.events import EventType
from nexus.reference.markdown import page, table

FIELDS = (
    ("event_id", "1 to 128 visible characters without blanks; the same id counts once, for ever in the lake"),
    ("type", "one of the types below"),
    ("user", "a UUID or `issuer:value`; an unknown one is a new viewer"),
    ("content", "a UUID or `issuer:value` of a known title"),
    ("value", "see the type"),
    ("at", "ISO 8601 with an offset; absent: now; not in the future"),
)


def render() -> str:
    """The page."""
    types = [(f"`{kind}`", _value(kind), _effect(kind), _preference(kind)) for kind in EventType]
    return page(
        "Events",
        "`nexus/events.py`",
        "Send them to `POST /v1/events`, up to a few hundred at a time. Each is checked by itself: what is refused is named in the "
        "answer with field, reason and remedy; the others are taken.",
        table(("field", "what it is"), [(f"`{name}`", words) for name, words in FIELDS]),
        table(("type", "value", "then", "preference told to the model"), types),
    )


def _value(kind: EventType) -> str:
    limits = events.value_range(kind)
    if limits is None:
        return "none"
    low, high = limits
    return f"{low:g} to {high:g}{'' if kind is EventType.RATE else ', or none'}"


def _effect(kind: EventType) -> str:
    if kind is EventType.HIDE:
        return "never recommended until `unhide`"
    if kind is EventType.UNHIDE:
        return "may be recommended again"
    return "counts as seen: not recommended again" if kind in events.SEEN_TYPES else "kept in the history"


def _preference(kind: EventType) -> str:
    if kind is EventType.RATE:
        return f"value / {events.RATING_MAX:g}"
    return f"{events.preference(kind, None):g}"
