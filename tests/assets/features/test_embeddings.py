"""The asset content_embeddings over a real database and the real model."""

from __future__ import annotations

import asyncio
import uuid

import dagster as dg
import pytest

from assets.features.embeddings import content_embeddings
from assets.resources import with_settings
from media.text.embedder import MODEL_NAME
from nexus import ids
from nexus.db.content import ContentRecord, upsert_content
from nexus.db.pool import async_pool, connect
from nexus.settings import Settings

pytestmark = pytest.mark.integration

NAMES = ("Toy Story", "Heat", "Alien")


def _id(name: str) -> uuid.UUID:
    return ids.internal("content", ids.Reference("embtest", name.replace(" ", "_")))


async def _store(settings: Settings, *titles: tuple[str, int]) -> None:
    async with async_pool(settings, "worker") as pool, pool.connection() as connection:
        for name, year in titles:
            record = ContentRecord(content_id=_id(name), title=name, content_type="movie", year=year)
            await upsert_content(connection, record)


def _materialize(settings: Settings) -> dict[str, object]:
    result = dg.materialize(
        [content_embeddings],
        resources={"platform": with_settings(settings)},
        instance=dg.DagsterInstance.ephemeral(),
    )
    assert result.success
    (event,) = result.get_asset_materialization_events()
    return {key: value.value for key, value in event.materialization.metadata.items()}


def test_content_embeddings__run_again_after_one_change__embeds_that_one_only(settings: Settings) -> None:
    asyncio.run(_store(settings, *((name, 1995) for name in NAMES)))
    first = _materialize(settings)
    assert first["dagster/row_count"] >= len(NAMES)
    again = _materialize(settings)
    assert (again["embedded"], again["written"]) == (0, 0)
    before = _vectors(settings)
    asyncio.run(_store(settings, ("Heat", 1996)))
    changed = _materialize(settings)
    assert (changed["embedded"], changed["written"]) == (1, 1)
    after = _vectors(settings)
    assert {name for name in NAMES if before[name] != after[name]} == {"Heat"}


def _vectors(settings: Settings) -> dict[str, str]:
    with connect(settings, "reader") as connection:
        rows = connection.execute(
            "select content_id, embedding::text from nexus_ai.embeddings where model = %s", (MODEL_NAME,)
        ).fetchall()
    found = dict(rows)
    return {name: found[_id(name)] for name in NAMES}
