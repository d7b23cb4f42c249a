"""Recall and latency of vector search through ``nexus.db.embeddings``, against exact search and against bare pgvector.

Run it beside a running platform::

    .venv/bin/python -m benchmarks.vectors [--queries 300] [--synthetic 100000]

Protocol: recall@10 against an exact scan in numpy. Data: the installation's own embeddings (a query is a title's vector with
a little noise, so that it is nobody's own), and ``--synthetic`` vectors in 2,000 clusters of 50 topics (0: leave out) in a database of
their own that is removed again. Latency: one connection, one query at a time, ours and the bare one in turn, the order
changing; the bare one is pgvector's own psycopg adapter with the same index and the same ``hnsw`` settings. Filtered: the 300
nearest titles are excluded, as for a viewer who has seen them all, so the index has to go on looking.
Exit status 1 below a recall of 0.98 (also filtered), or above 1.2 times the latency of the bare query.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import polars as pl
import psycopg
from psycopg import sql
from pydantic import SecretStr

from nexus.db import library, migrate, pool
from nexus.db.content import copy_content
from nexus.db.embeddings import DIMENSIONS, copy_embeddings, nearest
from nexus.settings import Settings, load

RECALL, RATIO, K, SEEN = 0.98, 1.2, 10, 300
NOISE = 0.25
TOPICS, CLUSTERS = 50, 2_000
SCRATCH = "nexus_bench_vectors"
BARE = "select content_id from nexus_ai.embeddings order by embedding <=> %s limit 10"
Matrix = npt.NDArray[np.float32]


def unit(vectors: Matrix) -> Matrix:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def near_to(matrix: Matrix, count: int, seed: int) -> Matrix:
    """Queries close to, but never equal to, stored vectors."""
    random = np.random.default_rng(seed)
    chosen = matrix[random.integers(len(matrix), size=count)]
    return unit(chosen + NOISE * unit(random.normal(size=chosen.shape).astype(np.float32)))


def exact(matrix: Matrix, query: Matrix, names: list[str], excluded: set[str], count: int) -> list[str]:
    ordered = np.argsort(-(matrix @ query), kind="stable")[: count + len(excluded)]
    return [names[row] for row in ordered if names[row] not in excluded][:count]


async def recall(connection: Any, matrix: Matrix, names: list[str], queries: Matrix, *, seen: int) -> float:
    hits = 0
    for query in queries:
        excluded = set(exact(matrix, query, names, set(), seen))
        wanted = set(exact(matrix, query, names, excluded, K))
        found = await nearest(connection, query, K, [uuid.UUID(one) for one in excluded])
        hits += len(wanted & {str(content_id) for content_id, _ in found})
    return round(hits / (K * len(queries)), 4)


async def latencies(connection: Any, bare: Any, queries: Matrix) -> dict[str, Any]:
    from pgvector import Vector

    ours: list[float] = []
    theirs: list[float] = []

    async def by_us(query: Matrix) -> None:
        began = perf_counter()
        await nearest(connection, query, K)
        ours.append((perf_counter() - began) * 1000)

    async def by_them(query: Matrix) -> None:
        began = perf_counter()
        await (await bare.execute(BARE, (Vector(query),))).fetchall()
        theirs.append((perf_counter() - began) * 1000)

    for number, query in enumerate(queries):
        pair = (by_us, by_them) if number % 2 else (by_them, by_us)
        for way in pair:
            await way(query)
    (our_50, our_99), (their_50, their_99) = (np.percentile(times[20:], [50, 99]) for times in (ours, theirs))
    return {
        "p50_ms": round(float(our_50), 2),
        "p99_ms": round(float(our_99), 2),
        "bare_p50_ms": round(float(their_50), 2),
        "bare_p99_ms": round(float(their_99), 2),
        "ratio_p50": round(float(our_50 / their_50), 3),
    }


async def measure(settings: Settings, count: int) -> dict[str, Any]:
    from pgvector.psycopg import register_vector_async

    async with (
        pool.async_pool(settings, "api", min_size=2, max_size=2) as opened,
        opened.connection() as connection,
        opened.connection() as bare,
    ):
        await register_vector_async(bare)
        content_ids, vectors = await library.load_vectors(connection)
        names, matrix = [str(one) for one in content_ids], unit(np.asarray(vectors, dtype=np.float32))
        queries = near_to(matrix, count, seed=7)
        await latencies(connection, bare, near_to(matrix, 50, seed=8))
        fewer = queries[: max(1, count // 3)]
        return {
            "vectors": len(names),
            "queries": len(queries),
            "recall_at_10": await recall(connection, matrix, names, queries, seen=0),
            f"recall_at_10_with_{SEEN}_excluded": await recall(connection, matrix, names, fewer, seen=SEEN),
            **await latencies(connection, bare, queries),
        }


@contextmanager
def scratch(settings: Settings, count: int) -> Iterator[Settings]:
    """A database of its own with clustered vectors."""
    url = urlsplit(settings.postgres.owner_url(driver=""))
    own = SecretStr(url._replace(path=f"/{SCRATCH}").geturl())
    theirs = settings.model_copy(update={"postgres": settings.postgres.model_copy(update={"url": own})})
    maintenance = settings.postgres.owner_url(driver="", database="postgres")
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(SCRATCH))
    try:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(drop)
        migrate.upgrade(theirs)
        fill(theirs, count)
        yield theirs
    finally:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(drop)


def fill(settings: Settings, count: int) -> None:
    random = np.random.default_rng(11)
    topics = unit(random.normal(size=(TOPICS, DIMENSIONS)).astype(np.float32))
    within = unit(random.normal(size=(CLUSTERS, DIMENSIONS)).astype(np.float32))
    centres = unit(topics[random.integers(TOPICS, size=CLUSTERS)] + 0.7 * within)
    spread = unit(random.normal(size=(count, DIMENSIONS)).astype(np.float32)) * random.uniform(
        0.3, 1.0, size=(count, 1)
    )
    vectors = unit((centres[random.integers(CLUSTERS, size=count)] + spread).astype(np.float32))
    content_ids = [str(uuid.UUID(int=number + 1)) for number in range(count)]
    frame = pl.DataFrame(
        {
            "content_id": content_ids,
            "title": content_ids,
            "content_type": ["movie"] * count,
            "year": [None] * count,
            "genres": [[]] * count,
            "overview": [None] * count,
            "external_ids": [[]] * count,
            "source": ["nexus"] * count,
        },
        schema_overrides={"year": pl.Int32, "overview": pl.String, "genres": pl.List(pl.String)},
    )
    with pool.connect(settings, "pipeline") as connection:
        copy_content(connection, frame)
        copy_embeddings(connection, "synthetic", content_ids, vectors, content_ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--synthetic", type=int, default=100_000)
    given = parser.parse_args()
    settings = load()
    figures = {"own titles": asyncio.run(measure(settings, given.queries))}
    if given.synthetic:
        with scratch(settings, given.synthetic) as theirs:
            figures[f"{given.synthetic} in clusters"] = asyncio.run(measure(theirs, given.queries))
    print(json.dumps({"limits": {"recall": RECALL, "ratio_p50": RATIO}, **figures}, indent=1))
    recalls = [value for one in figures.values() for name, value in one.items() if name.startswith("recall")]
    if min(recalls) < RECALL or max(one["ratio_p50"] for one in figures.values()) > RATIO:
        sys.exit(1)


if __name__ == "__main__":
    main()
