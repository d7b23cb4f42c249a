"""The list of models, for OpenAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

EXAMPLE: JsonDict = {
    "models": [
        {
            "version": "3",
            "aliases": ["champion"],
            "metrics": {"ndcg_at_10": 0.092},
            "data_hash": "b3f1",
            "created_at": "2026-01-31T20:15:00Z",
            "floors": {"popularity": {"ndcg_at_10": 0.041}},
            "protocol": "leave the last one out, full ranking",
            "kind": "attention",
        }
    ],
    "current": "3",
    "registry": "up",
}


class ModelLine(BaseModel):
    """A registered version."""

    version: str
    aliases: list[str]
    metrics: dict[str, float]
    data_hash: str | None
    created_at: datetime
    floors: dict[str, dict[str, float]] = Field(
        description="the same figures of the simple methods, on the same held-out titles"
    )
    protocol: str | None
    kind: str | None


class ModelsAnswer(BaseModel):
    """Every version, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    models: list[ModelLine]
    current: str | None = Field(description="the version served by this process")
    registry: Literal["up", "away"] = Field(description="away: only the served version is listed")
