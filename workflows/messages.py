"""What goes over the wire to and from workflows and activities: frozen models, one in, one out.

Belongs here: the payloads and their limits. Every list is bounded, nothing is ``Any``; a new field needs a default,
so that histories written before it still replay.
Does not belong here: behaviour, and anything that is not plain data.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from nexus.temporal_names import Action

ShortText = Annotated[str, Field(min_length=1, max_length=500)]


class Message(BaseModel):
    """Base of every payload."""

    model_config = ConfigDict(frozen=True)


class ExternalId(Message):
    """An id that somebody else gave to a title."""

    issuer: Annotated[str, Field(min_length=1, max_length=32)]
    value: Annotated[str, Field(min_length=1, max_length=128)]


class IngestRequest(Message):
    """A title to take in. ``content_id`` is ``nexus.ids.internal("content", reference)``, or the UUID it already has."""

    content_id: UUID
    title: ShortText
    content_type: Annotated[str, Field(min_length=1, max_length=50)] = "movie"
    year: Annotated[int, Field(ge=1800, le=2200)] | None = None
    genres: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=32)] = ()
    overview: Annotated[str, Field(max_length=20_000)] | None = None
    external_ids: Annotated[tuple[ExternalId, ...], Field(max_length=16)] = ()
    metadata: Annotated[dict[str, JsonValue], Field(max_length=64)] = Field(default_factory=dict)
    similar_limit: int = Field(10, ge=1, le=100)
    audience_limit: int = Field(20, ge=1, le=100)

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are equal for equal requests."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class ContentKey(Message):
    """Which title a step is about, and for which operation."""

    content_id: UUID
    operation_id: str
    run_id: str = ""


class StoredContent(Message):
    """The title is in Postgres."""

    content_id: UUID
    title: str
    text_hash: str


class StoredVector(Message):
    """The title's current text is embedded and in pgvector."""

    content_id: UUID
    model: str
    text_hash: str


class NearestRequest(Message):
    """Ask for what is near a title's vector."""

    content_id: UUID
    limit: int = Field(ge=1, le=100)


class SimilarTitle(Message):
    """A title and how alike it is (cosine similarity)."""

    content_id: UUID
    title: str
    score: float


class SimilarTitles(Message):
    """Best first."""

    items: Annotated[tuple[SimilarTitle, ...], Field(max_length=100)] = ()


class Viewer(Message):
    """A viewer and how well a title fits what they liked (0..1)."""

    user_id: UUID
    score: float


class Audience(Message):
    """Who would like a title, best first."""

    items: Annotated[tuple[Viewer, ...], Field(max_length=100)] = ()


class ContentEvent(Message):
    """What an operation has to say about a title; the title's own facts are read when it is published."""

    operation_id: str
    run_id: str
    content_id: UUID
    state: Literal["ingested", "stored"]
    similar: SimilarTitles = SimilarTitles()
    audience: Audience = Audience()
    occurred_at: datetime


class Published(Message):
    """The event is in the stream; ``is_new`` says whether this call put it there."""

    is_new: bool


class IngestResult(Message):
    """What came out of an ingest operation."""

    content_id: UUID
    similar: tuple[SimilarTitle, ...] = ()
    audience: tuple[Viewer, ...] = ()


class PromoteModelRequest(Message):
    """Make a registered version the champion, or take the champion back to the previous one."""

    version: str
    reason: Annotated[str, Field(max_length=2_000)] = ""
    require_approval: bool = False
    action: Action = "promote"
    model_name: str = "recommender"
    approval_timeout_s: float = Field(7 * 24 * 3600, gt=0)


class RegistryCommand(Message):
    """One change of the registry, for an activity."""

    action: Action
    version: str
    model_name: str
    reason: str


class RegistryChange(Message):
    """What the registry says after the change."""

    champion: str
    previous: str | None = None


class PromoteModelResult(Message):
    """How a promotion or rollback ended."""

    action: Action
    version: str
    outcome: Literal["done", "rejected", "expired"]
    champion: str | None = None
    previous: str | None = None
    decided_by: str | None = None


class Approval(Message):
    """A person's word on a promotion."""

    approved: bool
    by: Annotated[str, Field(min_length=1, max_length=200)]


class CancelRequest(Message):
    """A person's wish to stop an operation."""

    reason: Annotated[str, Field(max_length=500)] = ""


class Acknowledged(Message):
    """The update was taken."""

    accepted: bool = True


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Step(Message):
    """One step of an operation, as a person follows it."""

    name: str
    state: StepState = StepState.PENDING
    started_at: datetime | None = None
    finished_at: datetime | None = None
    detail: str | None = None


class Progress(Message):
    """All steps, in order."""

    steps: tuple[Step, ...] = ()


class PromotionStatus(Message):
    """Answer of the ``status`` query of PromoteModel."""

    state: Literal["waiting_for_approval", "running", "done", "rejected", "expired", "failed"]
    request: PromoteModelRequest
    decided_by: str | None = None


OperationState = Literal["running", "completed", "failed", "cancelled"]


class OperationError(Message):
    """Why an operation failed; the shape of a NexusError."""

    message: str
    category: str
    field: str | None = None
    value: str | None = None
    remedy: str | None = None


class OperationStatus(Message):
    """Answer to "how is my operation doing"."""

    operation_id: str
    state: OperationState
    steps: tuple[Step, ...] = ()
    result: dict[str, JsonValue] | None = None
    error: OperationError | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
