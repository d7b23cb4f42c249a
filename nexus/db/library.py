"""The library for processes that hold it in memory: what changed, and the vectors of all titles or of many.

Belongs here: reads over every title, or over any set of them, in bounded parts.
Does not belong here: one title (nexus.db.content), one vector and the search (nexus.db.embeddings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg

Matrix = npt.NDArray[np.float32]
_BATCH: Final = 5_000
_LATEST: Final = (
    "select content_id::text, vector_send(embedding) from (select distinct on (content_id) content_id, embedding"
    " from nexus_ai.embeddings {where} order by content_id, updated_at desc, model) latest"
)
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


async def count_vectors(connection: psycopg.AsyncConnection[Any]) -> int:
    """How many titles have a vector."""
    cursor = await connection.execute("select count(distinct content_id) from nexus_ai.embeddings")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def load_vectors(connection: psycopg.AsyncConnection[Any]) -> tuple[list[str], Matrix]:
    """Every title's vector, as ids and the rows of one matrix.

    A title with vectors of several models (while another one takes over) gives the one that was made last.
    """
    names: list[str] = []
    parts: list[Matrix] = []
    async with connection.transaction(), connection.cursor(name="vectors", binary=True) as cursor:
        await cursor.execute(_LATEST.format(where=""))
        while rows := await cursor.fetchmany(_BATCH):
            names += [content_id for content_id, _ in rows]
            parts.append(_unpacked(rows))
    return names, _stacked(parts)


async def find_vectors(
    connection: psycopg.AsyncConnection[Any], content_ids: Sequence[str]
) -> tuple[list[str], Matrix]:
    """The vectors of these titles, as :func:`load_vectors` gives them; titles without one are left out.

    Args:
        connection: Of nexus.db.pool.
        content_ids: As text; any number.
    """
    names: list[str] = []
    parts: list[Matrix] = []
    query = _LATEST.format(where="where content_id = any(%s::text[]::uuid[])")
    async with connection.cursor(binary=True) as cursor:
        for start in range(0, len(content_ids), _BATCH):
            await cursor.execute(query, (list(content_ids[start : start + _BATCH]),))
            rows = await cursor.fetchall()
            names += [content_id for content_id, _ in rows]
            parts += [_unpacked(rows)] if rows else []
    return names, _stacked(parts)


def _unpacked(rows: Sequence[tuple[str, bytes]]) -> Matrix:
    packed = b"".join(bytes(vector)[4:] for _, vector in rows)  # two 16-bit numbers, then float32, big-endian
    return np.frombuffer(packed, dtype=">f4").astype(np.float32).reshape(len(rows), -1)


def _stacked(parts: Sequence[Matrix]) -> Matrix:
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
