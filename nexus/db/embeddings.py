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
from psycopg import pq
from psycopg.adapt import Dumper

from nexus.db.bulk import BulkResult
from nexus.errors import invalid

DIMENSIONS: Final = 384
_REBUILD_FROM: Final = 1_000
_HEAD: Final = struct.pack(">HH", DIMENSIONS, 0)
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


_NEAREST: Final = (
    "select content_id, 1 - (embedding <=> %(vector)s::vector) from nexus_ai.embeddings {where}"
    " order by embedding <=> %(vector)s::vector limit %(limit)s"
)


# Who excludes much, excludes what is nearest: the index looks as far as that at once. In strict order it would drop
# what it finds late, and with it nearly half of the right answers (benchmarks/vectors.py).
_WIDE: Final = "select set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true)"
MANY: Final = 20
"""Excluded titles from which a search is widened."""
WIDEST: Final = 1_000


class Packed(bytes):
    """A vector as pgvector sends and receives it."""


class PackedDumper(Dumper):
    """Hands a packed vector over as it is; the query's cast says what it is, so no connection has to learn the type."""

    format = pq.Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        """The bytes."""
        return obj


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
    conditions = ["content_id <> all (%(exclude)s::uuid[])"] if exclude else []
    conditions += ["model = %(model)s::text"] if model is not None else []
    # Only what is asked for is filtered: the plain search then is the plain index scan.
    query = _NEAREST.format(where=f"where {' and '.join(conditions)}" if conditions else "")
    values = {"vector": Packed(_packed(vector)), "exclude": list(exclude), "model": model, "limit": limit}
    async with connection.cursor() as cursor:
        cursor.adapters.register_dumper(Packed, PackedDumper)
        if len(exclude) < MANY:
            await cursor.execute(query, values)
            found = await cursor.fetchall()
        else:
            async with connection.transaction():
                width = str(min(WIDEST, 3 * (limit + len(exclude))))
                await cursor.execute(_WIDE, (width,))
                await cursor.execute(query, values | {"limit": 2 * limit})
                found = await cursor.fetchall()
            found.sort(key=lambda row: -row[1])
    return [(content_id, float(similarity)) for content_id, similarity in found[:limit]]


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
    head = _HEAD
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


def _packed(vector: Vector) -> bytes:
    return _HEAD + _checked(vector).astype(">f4").tobytes()


def _text(vector: Vector) -> str:
    return "[" + ",".join(map(repr, _checked(vector).tolist())) + "]"


def _checked(vector: Vector) -> Vector:
    flat = np.asarray(vector, dtype=np.float32)
    if flat.shape != (DIMENSIONS,) or not np.isfinite(flat).all():
        raise _wrong(flat)
    return flat


def _wrong(vectors: Vector) -> Exception:
    return invalid(
        "not vectors of this table", field="vector", value=vectors.shape, remedy=f"send {DIMENSIONS} finite numbers"
    )
