"""Answers about this process, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"]


class Readiness(BaseModel):
    """Whether recommendations can be answered, and what from."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "recommends_by": "champion",
                    "model_version": "3",
                    "titles": 9066,
                    "vectors": 9066,
                    "parts": {"redis": "up", "postgres": "up", "temporal": "up", "mlflow": "up"},
                }
            ]
        },
    )

    status: Literal["ready", "not_ready"]
    recommends_by: Literal["champion", "content", "popular"] | None
    model_version: str | None
    titles: int
    vectors: int
    parts: dict[str, Literal["up", "away", "unknown"]]
