"""The answer of a history, for OpenAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

EXAMPLE: JsonDict = {
    "items": [
        {
            "content_id": "1d6a0c38-9f0e-5a86-8a6e-0c36f1a9a6a1",
            "external_ids": ["movielens:6"],
            "title": "Heat (1995)",
            "content_type": "movie",
            "year": 1995,
            "genres": ["Action", "Crime"],
            "type": "rate",
            "value": 4.5,
            "at": "2026-01-31T20:15:00Z",
        }
    ]
}


class HistoryLine(BaseModel):
    """One viewing."""

    content_id: UUID
    title: str
    type: Literal["view", "rate", "like", "dislike"]
    value: float | None
    at: datetime
    external_ids: list[str] | None = None
    content_type: str | None = None
    year: int | None = None
    genres: list[str] | None = None


class HistoryAnswer(BaseModel):
    """What a viewer watched, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    items: list[HistoryLine]
