"""What was recommended to whom, and why.

Belongs here: reading and writing nexus_ai.recommendations. Does not belong here: making recommendations.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field

Source = Literal["champion", "content", "popular"]
_NAMESPACE: Final = uuid.UUID("0b0d4a8a-8d1f-4b5e-9d53-6c1d6f1b7a04")

_INSERT = """
insert into nexus_ai.recommendations
  (id, user_id, content_id, score, reasoning, source, algorithm_version, request_id)
select n.id, n.user_id, n.content_id, n.score, n.reasoning, %s, %s, %s
from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::float8[], %s::jsonb[])
  as n (id, user_id, content_id, score, reasoning)
on conflict do nothing
"""


class Recommendation(BaseModel):
    """One title for one viewer."""

    model_config = ConfigDict(frozen=True)

    user_id: uuid.UUID
    content_id: uuid.UUID
    score: float = Field(allow_inf_nan=False)
    reasoning: dict[str, Any] = Field(default_factory=dict)


class StoredRecommendation(Recommendation):
    """One title for one viewer, as it was stored."""

    source: Source
    algorithm_version: str
    generated_at: datetime
    viewed: bool


async def save_recommendations(
    connection: psycopg.AsyncConnection,
    rows: Sequence[Recommendation],
    *,
    source: Source,
    algorithm_version: str,
    request_id: str,
) -> int:
    """Store recommendations; the same request again changes nothing.

    Args:
        connection: As nexus_api or nexus_worker.
        rows: Titles and viewers; both exist in the database.
        source: Which path made them.
        algorithm_version: The model's version, or the path's name.
        request_id: The request or workflow that made them.

    Returns:
        How many were new.
    """
    values = [
        (
            uuid.uuid5(_NAMESPACE, f"{request_id}/{row.user_id}/{row.content_id}"),
            row.user_id,
            row.content_id,
            row.score,
            Jsonb(row.reasoning),
        )
        for row in rows
    ]
    if not values:
        return 0
    columns = [list(column) for column in zip(*values, strict=True)]
    cursor = await connection.execute(_INSERT, [source, algorithm_version, request_id, *columns])
    return cursor.rowcount


async def latest_recommendations(
    connection: psycopg.AsyncConnection, user_id: uuid.UUID, limit: int
) -> list[StoredRecommendation]:
    """What a viewer was recommended last, best first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "select user_id, content_id, score, reasoning, source, algorithm_version, generated_at, viewed"
            " from nexus_ai.recommendations where user_id = %s order by generated_at desc, score desc limit %s",
            (user_id, limit),
        )
        return [StoredRecommendation(**row) async for row in cursor]
