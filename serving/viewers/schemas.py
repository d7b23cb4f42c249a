"""The list of viewers, for OpenAPI."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

EXAMPLE: JsonDict = {
    "items": [
        {
            "user_id": "5d0b0f3e-3c9d-5c0a-8f0f-1b7f1e6d2a10",
            "name": "movielens:1",
            "external_ids": ["movielens:1"],
            "interactions": 20,
        }
    ]
}


class ViewerLine(BaseModel):
    """One viewer."""

    user_id: UUID
    name: str
    external_ids: list[str]
    interactions: int | None


class ViewersAnswer(BaseModel):
    """Viewers, the most active first."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    items: list[ViewerLine]
