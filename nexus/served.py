"""What was served to whom, and why: the record of one recommendations answer, from the API into the lake.

Belongs here: the id of an answer, the shape of its record, the columns by which the lake finds it again.
Does not belong here: making it (serving.recommendations), the drain (nexus.lake.drain), tracing it back (serving.why).
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from time import time
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from nexus.events import SERVED_STREAM

STREAM: Final = SERVED_STREAM
FIELD: Final = "served"
TABLE: Final = "raw_nexus__recommendations"
AT_MOST: Final = 10_000
"""About so many records wait in Redis for the next drain; older ones are let go."""
NAMES: Final = ("recommendation_id", "user_id", "served_at", "rung", "model_version", "data_version")


class Used(BaseModel):
    """A line of the history that an answer was made from."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    content_id: uuid.UUID


class Share(BaseModel):
    """A title of the history and what it added to a score."""

    model_config = ConfigDict(frozen=True)

    content_id: uuid.UUID
    contribution: float


class ServedTitle(BaseModel):
    """A recommended title with the numbers that were shown as its reason."""

    model_config = ConfigDict(frozen=True)

    content_id: uuid.UUID
    title: str
    score: float
    is_new: bool
    text: str
    because: tuple[Share, ...]


class Served(BaseModel):
    """One recommendations answer."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    recommendation_id: uuid.UUID
    user_id: uuid.UUID
    served_at: datetime
    rung: str
    model_version: str | None
    data_version: int | None
    data_hash: str | None
    degraded: str | None = None
    history: tuple[Used, ...]
    titles: tuple[ServedTitle, ...]


def new_id() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): it begins with the time, so a look-up knows on which day to look."""
    value = int(time() * 1000) << 80 | int.from_bytes(os.urandom(10))
    return uuid.UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def moment_of(recommendation_id: uuid.UUID) -> datetime | None:
    """When an id was made; None when it is none of ours."""
    if recommendation_id.version != 7:
        return None
    try:
        return datetime.fromtimestamp((recommendation_id.int >> 80) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def columns(body: str) -> dict[str, Any]:
    """What the lake shows beside the record itself, as text; null in a record that can't be read."""
    try:
        found = Served.model_validate_json(body)
    except ValidationError:
        return dict.fromkeys(NAMES)
    plain: dict[str, Any] = orjson.loads(body)
    return {name: None if getattr(found, name) is None else str(plain[name]) for name in NAMES}
