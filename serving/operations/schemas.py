"""What goes in and out of operations, for OpenAPI and for checking requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nexus import ids
from nexus.db.content import ContentType
from nexus.errors import NexusError

EARLIEST_YEAR = 1870
_OPERATION = "ingest-7a6d2d0a-52a7-5c0f-9f5d-6f0b0f0c1d11-0c9d4e5f6a7b"
YEARS_AHEAD = 5


def _reference(text: str) -> str:
    try:
        ids.parse(text, field="external_id")
    except NexusError as error:
        raise ValueError(f"{error.message}; {error.remedy}") from None
    return text


def _printable(text: str) -> str:
    if not text.strip() or "\x00" in text:
        raise ValueError("it needs visible characters, and no zero byte")
    return text


def _year(year: int) -> int:
    latest = datetime.now(UTC).year + YEARS_AHEAD
    if not EARLIEST_YEAR <= year <= latest:
        raise ValueError(f"a year from {EARLIEST_YEAR} to {latest}")
    return year


Text = Annotated[str, AfterValidator(_printable)]


class NewContent(BaseModel):
    """A title to take in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "external_id": "imdb:tt0133093",
                    "title": "The Matrix",
                    "content_type": "movie",
                    "year": 1999,
                    "genres": ["Action", "Sci-Fi"],
                    "overview": "A hacker learns that the world he knows is a simulation.",
                }
            ]
        },
    )

    external_id: Annotated[str, AfterValidator(_reference)] = Field(
        max_length=161,
        description="issuer:value, as in imdb:tt0133093",
        json_schema_extra={"pattern": ids.PATTERN},
    )
    title: Text = Field(min_length=1, max_length=500, json_schema_extra={"pattern": r"\S"})
    content_type: ContentType
    year: Annotated[int, AfterValidator(_year), Field(json_schema_extra={"minimum": EARLIEST_YEAR})] | None = Field(
        None, strict=True, description=f"at most {YEARS_AHEAD} years ahead"
    )
    overview: Text | None = Field(None, max_length=10_000)
    genres: list[Annotated[Text, Field(min_length=1, max_length=100)]] = Field(default_factory=list, max_length=32)


class Started(BaseModel):
    """An operation that is under way."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"operation_id": _OPERATION}]})

    operation_id: str


class StepLine(BaseModel):
    """One step."""

    name: str
    state: Literal["pending", "running", "completed", "failed", "cancelled"]
    started_at: datetime | None = None
    finished_at: datetime | None = None
    detail: str | None = None


class Failure(BaseModel):
    """Why it failed."""

    message: str
    category: str


class OperationAnswer(BaseModel):
    """How an operation is doing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "operation_id": _OPERATION,
                    "state": "running",
                    "steps": [
                        {
                            "name": "store",
                            "state": "completed",
                            "started_at": "2026-01-31T20:15:00Z",
                            "finished_at": "2026-01-31T20:15:01Z",
                            "detail": None,
                        },
                        {"name": "embed", "state": "running", "started_at": "2026-01-31T20:15:01Z"},
                    ],
                    "result": None,
                    "error": None,
                    "started_at": "2026-01-31T20:15:00Z",
                    "finished_at": None,
                }
            ]
        }
    )

    operation_id: str
    state: Literal["running", "completed", "failed", "cancelled"]
    steps: list[StepLine]
    result: dict[str, Any] | None = None
    error: Failure | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class CancelAnswer(BaseModel):
    """The wish to stop was taken."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"operation_id": _OPERATION, "state": "cancelling"}]})

    operation_id: str
    state: Literal["cancelling"] = "cancelling"
