"""Answers about titles, for OpenAPI."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

_TITLE: JsonDict = {
    "content_id": "1d6a0c38-9f0e-5a86-8a6e-0c36f1a9a6a1",
    "external_ids": ["movielens:6"],
    "title": "Heat (1995)",
    "content_type": "movie",
    "year": 1995,
    "genres": ["Action", "Crime"],
}


class TitleAnswer(BaseModel):
    """What is known about a title."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _TITLE
                | {
                    "overview": None,
                    "metadata": {},
                    "popularity_score": 0.42,
                    "interactions": 103,
                    "mean_value": 3.9,
                }
            ]
        }
    )

    content_id: UUID
    external_ids: list[str]
    title: str
    content_type: str
    year: int | None
    genres: list[str]
    overview: str | None
    metadata: dict[str, Any]
    popularity_score: float
    interactions: int
    mean_value: float | None


class TitleLine(BaseModel):
    """A title in a list."""

    content_id: UUID
    external_ids: list[str]
    title: str
    content_type: str
    year: int | None
    genres: list[str]
    score: float


class TitlesAnswer(BaseModel):
    """Titles, best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_TITLE | {"score": 0.71}]}]})

    items: list[TitleLine]
