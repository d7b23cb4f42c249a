"""Vectors of what titles say about themselves, and the search by nearness.

Belongs here: reading and writing nexus_ai.embeddings. Does not belong here: making vectors (media.text).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import psycopg

from nexus.db.bulk import BulkResult
from nexus.errors import invalid

DIMENSIONS: Final = 384
_REBUILD_FROM: Final = 1_000
Vector = npt.NDArray[np.float32]

_UPSERT = """
insert into nexus_ai.embeddings as e (content_id, model, embedding, text_hash) values (%s, %s, %s::vector, %s)
on conflict (content_id, model) do update set embedding = excluded.embedding, text_hash = excluded.text_hash
where e.text_hash <> excluded.text_hash
"""

_MERGE = """
insert into nexus_ai.embeddings as e (content_id, model, embedding, text_hash)
select s.content_id, s.model, s.embedding, s.text_hash from staged_embeddings s
join nexus_core.content c on c.id = s.content_id order by s.content_id
on conflict (content_id, model) do update set embedding = excluded.embedding, text_hash = excluded.text_hash
where e.text_hash <> excluded.text_hash
"""


async def upsert_embedding(
    connection: psycopg.AsyncConnection, content_id: uuid.UUID, model: str, vector: Vector, text_hash: str
) -> None:
    """Store the vector of a title; the same text again changes nothing."""
    await connection.execute(_UPSERT, (content_id, model, _text(vector), text_hash))


async def find_embedding(connection: psycopg.AsyncConnection, content_id: uuid.UUID, model: str) -> Vector | None:
    """The vector of a title, or None."""
    cursor = await connection.execute(
        "select embedding::real[] from nexus_ai.embeddings where content_id = %s and model = %s", (content_id, model)
    )
    row = await cursor.fetchone()
    return np.asarray(row[0], dtype=np.float32) if row else None


async def nearest(
    connection: psycopg.AsyncConnection,
    vector: Vector,
    limit: int,
    exclude: Collection[uuid.UUID] = (),
    *,
    model: str | None = None,
) -> list[tuple[uuid.UUID, float]]:
    """The titles nearest in meaning, with their cosine similarity, best first.

    Args:
        connection: Of nexus.db.pool, whose settings make a filtered search return as many as asked for.
        vector: What to be near to.
        limit: How many.
        exclude: Titles to leave out.
        model: Only vectors of this model; None: all are of one model.
    """
    cursor = await connection.execute(
        "select content_id, 1 - (embedding <=> %(vector)s::vector) from nexus_ai.embeddings"
        " where content_id <> all (%(exclude)s::uuid[]) and (%(model)s::text is null or model = %(model)s)"
        " order by embedding <=> %(vector)s::vector limit %(limit)s",
        {"vector": _text(vector), "exclude": list(exclude), "model": model, "limit": limit},
    )
    return [(content_id, float(similarity)) async for content_id, similarity in cursor]


def missing(connection: psycopg.Connection, model: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Which of these (content id, text hash) have no vector of this text yet."""
    return connection.execute(
        "select w.content_id::text, w.text_hash from unnest(%s::uuid[], %s::text[]) as w (content_id, text_hash)"
        " join nexus_core.content c on c.id = w.content_id"
        " where not exists (select from nexus_ai.embeddings e where e.content_id = w.content_id and e.model = %s"
        " and e.text_hash = w.text_hash) order by w.content_id",
        ([content_id for content_id, _ in wanted], [text_hash for _, text_hash in wanted], model),
    ).fetchall()


def copy_embeddings(
    connection: psycopg.Connection, model: str, content_ids: Sequence[str], vectors: Vector, text_hashes: Sequence[str]
) -> BulkResult:
    """Store many vectors; titles that the database does not know are skipped.

    Args:
        connection: As nexus_pipeline or nexus_worker.
        model: The model's name.
        content_ids: One a row, as text.
        vectors: [n, 384].
        text_hashes: One a row.
    """
    rows = len(content_ids)
    if vectors.shape != (rows, DIMENSIONS) or len(text_hashes) != rows:
        raise _wrong(vectors)
    packed = np.ascontiguousarray(vectors, dtype=">f4")
    head = struct.pack(">HH", DIMENSIONS, 0)
    with connection.transaction():
        connection.execute(
            "create temporary table staged_embeddings (content_id uuid, model text, embedding vector(384),"
            " text_hash text) on commit drop"
        )
        with (
            connection.cursor() as cursor,
            cursor.copy("copy staged_embeddings from stdin (format binary)") as stream,
        ):
            stream.set_types(["uuid", "text", "bytea", "text"])
            for content_id, vector, text_hash in zip(content_ids, packed, text_hashes, strict=True):
                stream.write_row((uuid.UUID(content_id), model, head + vector.tobytes(), text_hash))
        known = connection.execute(
            "select count(*) from staged_embeddings s join nexus_core.content c on c.id = s.content_id"
        ).fetchone()
        rebuilds = _is_first_load(connection, rows)
        if rebuilds:
            connection.execute("select nexus_ai.drop_embedding_index()")
        written = connection.execute(_MERGE).rowcount
        if rebuilds:
            connection.execute("select nexus_ai.create_embedding_index()")
    return BulkResult(rows=rows, written=written, skipped=rows - (known[0] if known else 0))


def _is_first_load(connection: psycopg.Connection, rows: int) -> bool:
    """Whether the index is cheaper to build anew: many rows come into a table that has few."""
    if rows < _REBUILD_FROM:
        return False
    found = connection.execute(
        "select (select count(*) from (select from nexus_ai.embeddings limit %s) e),"
        " has_function_privilege('nexus_ai.drop_embedding_index()', 'execute')",
        (rows // 10 + 1,),
    ).fetchone()
    return found is not None and found[1] and found[0] <= rows // 10


def _text(vector: Vector) -> str:
    flat = np.asarray(vector, dtype=np.float32)
    if flat.shape != (DIMENSIONS,) or not np.isfinite(flat).all():
        raise _wrong(flat)
    return "[" + ",".join(map(repr, flat.tolist())) + "]"


def _wrong(vectors: Vector) -> Exception:
    return invalid(
        "not vectors of this table", field="vector", value=vectors.shape, remedy=f"send {DIMENSIONS} finite numbers"
    )
