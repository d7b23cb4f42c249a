"""What goes in and out of events, for OpenAPI (requests are checked by nexus.events)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from nexus import ids
from nexus.events import EventType
from serving.events.service import MAX_EVENTS

REQUEST_EXAMPLE = {
    "events": [
        {
            "event_id": "0190b2a4-play-1",
            "type": "rate",
            "user": "movielens:1",
            "content": "movielens:6",
            "value": 4.5,
            "at": "2026-01-31T20:15:00Z",
        },
        {"event_id": "0190b2a4-play-2", "type": "hide", "user": "movielens:1", "content": "movielens:1"},
    ]
}
ANSWER_EXAMPLE: JsonDict = {
    "accepted": 1,
    "duplicates": 0,
    "refused": [
        {
            "index": 1,
            "field": "content",
            "reason": "no such title",
            "value": "movielens:0",
            "remedy": "add it first: POST /v1/content",
        }
    ],
}


class EventIn(BaseModel):
    """Something a viewer did."""

    model_config = ConfigDict(extra="forbid")

    event_id: str = Field(
        min_length=1, max_length=128, pattern=r"^\S+$", description="yours; the same id counts once; no blanks"
    )
    type: EventType
    user: str = Field(pattern=ids.PATTERN, description="a UUID or issuer:value; an unknown one is a new viewer")
    content: str = Field(pattern=ids.PATTERN, description="a UUID or issuer:value of a known title")
    value: float | None = Field(None, description="rate: 0.5 to 5; view: share watched, 0 to 1; else none")
    at: datetime | None = Field(None, description="when it happened, with an offset; absent: now")


class EventsIn(BaseModel):
    """A batch of events."""

    model_config = ConfigDict(extra="forbid")

    events: list[EventIn] = Field(max_length=MAX_EVENTS)


class Refused(BaseModel):
    """An event that was not taken, and why."""

    index: int
    field: str
    reason: str
    value: str | None = None
    remedy: str | None = None


class EventsAnswer(BaseModel):
    """What became of a batch."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER_EXAMPLE]})

    accepted: int = Field(description="new ones, taken now")
    duplicates: int = Field(description="ones whose event_id was taken before")
    refused: list[Refused]


def request_body() -> dict[str, Any]:
    """The request body as OpenAPI describes it."""
    schema = EventsIn.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": REQUEST_EXAMPLE}},
        }
    }
