"""The whole library at once, for processes that hold it in memory: what changed, and all vectors.

Belongs here: reads over every title. Does not belong here: one title (nexus.db.content), one vector (nexus.db.embeddings).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

_FINGERPRINT = """
select (select count(*)::text || '/' || coalesce(max(updated_at)::text, '') from nexus_core.content),
  (select count(*)::text from nexus_core.content_external_ids),
  (select count(*)::text || '/' || coalesce(max(updated_at)::text, '') from nexus_ai.embeddings),
  (select count(*)::text || '/' || coalesce(max(updated_at)::text, '') from nexus_analytics.title_popularity)
"""


async def fingerprint(connection: psycopg.AsyncConnection[Any]) -> str:
    """A text that differs after any change of titles, their ids, vectors or popularity."""
    cursor = await connection.execute(_FINGERPRINT)
    row = await cursor.fetchone()
    return "|".join(row or ())


async def load_vectors(connection: psycopg.AsyncConnection[Any]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Every title's vector, as ids and the rows of one matrix.

    A title with vectors of several models (while another one takes over) gives the one that was made last.
    """
    cursor = await connection.execute(
        "select content_id::text, vector_send(embedding) from (select distinct on (content_id) content_id, embedding"
        " from nexus_ai.embeddings order by content_id, updated_at desc, model) latest"
    )
    rows = await cursor.fetchall()
    packed = b"".join(bytes(vector)[4:] for _, vector in rows)  # two 16-bit numbers, then float32, big-endian
    matrix = np.frombuffer(packed, dtype=">f4").astype(np.float32).reshape(len(rows), -1 if rows else 0)
    return [content_id for content_id, _ in rows], matrix
