"""The answer of recommendations, for OpenAPI."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from serving.viewers.viewer import Degraded

EXAMPLE: JsonDict = {
    "items": [
        {
            "content_id": "7a6d2d0a-52a7-5c0f-9f5d-6f0b0f0c1d11",
            "external_ids": ["movielens:16"],
            "title": "Casino (1995)",
            "content_type": "movie",
            "year": 1995,
            "genres": ["Crime", "Drama"],
            "score": 4.21,
            "is_new": False,
            "reason": {
                "text": "Because you watched Heat (1995)",
                "because": [
                    {
                        "content_id": "1d6a0c38-9f0e-5a86-8a6e-0c36f1a9a6a1",
                        "title": "Heat (1995)",
                        "contribution": 1.7,
                    }
                ],
            },
        }
    ],
    "source": "champion",
    "model_version": "3",
    "recommendation_id": "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071",
    "degraded": None,
}


class Because(BaseModel):
    """A title of the history and what it added to the score."""

    content_id: UUID
    title: str
    contribution: float


class Reason(BaseModel):
    """Why a title is recommended, computed from the model."""

    text: str
    because: list[Because] = Field(description="at most three, greatest first")


class HistoryPart(Because):
    """One line of an explanation."""


class ModelPart(BaseModel):
    """A part of the model and what it adds to the score."""

    part: str = Field(description="attention, sequence, or the name of a counted part")
    contribution: float


class Explanation(BaseModel):
    """Every number behind a score: the contributions of the history and the static part add up to it."""

    history: list[HistoryPart]
    static: float = Field(
        description="the rest of the score: what no watched title moves, and what several of them move only together"
    )
    parts: list[ModelPart] = Field(
        description="what each part of the model adds to the score; they add up to it; empty where a model has no parts"
    )


class Item(BaseModel):
    """A recommended title."""

    content_id: UUID
    external_ids: list[str]
    title: str
    content_type: str
    year: int | None
    genres: list[str]
    score: float = Field(description="higher is better; comparable within one answer, among titles that are not new")
    is_new: bool = Field(
        description="a title that nobody had watched when the model was made, chosen by what is known about it"
    )
    reason: Reason
    explanation: Explanation | None = Field(None, description="with explain only")


class RecommendationsAnswer(BaseModel):
    """What to watch next, best first."""

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"examples": [EXAMPLE]})

    items: list[Item]
    source: Literal["champion", "content", "popular"]
    model_version: str | None
    recommendation_id: UUID = Field(description="names this answer: bin/nexus why ID tells what it was made from")
    degraded: Degraded | None = Field(
        description="not null while stores are away: history_incomplete (older viewings may be missing), "
        "history_from_snapshot (what was seen is known up to the last publication), history_unknown (it may show seen titles)"
    )
