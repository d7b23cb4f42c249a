"""Search by nearness finds what an exact scan finds, also when much is excluded."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pytest

from nexus.db.embeddings import DIMENSIONS, nearest
from tests.nexus.db.titles import store

pytestmark = pytest.mark.integration
COUNT, CLUSTERS = 3_000, 30


@pytest.fixture
def stored(empty) -> Any:
    """Clustered vectors, and their names."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(CLUSTERS, DIMENSIONS))
    vectors = centres[random.integers(CLUSTERS, size=COUNT)] + 0.8 * random.normal(size=(COUNT, DIMENSIONS))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    names = [str(UUID(int=number + 1)) for number in range(COUNT)]
    store(empty, names, vectors)
    return names, vectors


@pytest.mark.parametrize("excluded", [0, 1, 19, 20, 150])
async def test_nearest__some_excluded__finds_nearly_all_of_an_exact_scan(stored, excluded, open_api) -> None:
    names, vectors = stored
    hits = 0
    async with open_api() as connection:
        for query in vectors[:40]:
            ordered = [names[row] for row in np.argsort(-(vectors @ query), kind="stable")]
            out, wanted = ordered[:excluded], ordered[excluded : excluded + 10]
            found = await nearest(connection, query, 10, [UUID(one) for one in out], model="m")
            assert len(found) == 10
            assert not set(out) & {str(content_id) for content_id, _ in found}
            assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
            hits += len(set(wanted) & {str(content_id) for content_id, _ in found})
        assert await nearest(connection, vectors[0], 10, model="another") == []
    assert hits / 400 >= 0.98


@pytest.fixture
def open_api(empty) -> Any:
    """A connection of the pool, with its settings."""
    from contextlib import asynccontextmanager

    from nexus.db.pool import async_pool

    @asynccontextmanager
    async def opened() -> Any:
        async with async_pool(empty, "api", max_size=1) as pool, pool.connection() as connection:
            yield connection

    return opened
