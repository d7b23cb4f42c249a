"""Text vectors come in the training's order; a database that is away leaves a model without them, not no model."""

import asyncio
import uuid
from pathlib import Path

import numpy as np
import pytest

from nexus.db import pool
from nexus.db.content import ContentRecord, upsert_content
from nexus.db.embeddings import DIMENSIONS, upsert_embedding
from nexus.settings import Settings
from tests.training.conftest import toy
from training.content import texts
from training.dataset import Dataset

pytestmark = pytest.mark.integration


def data_of(names: list[str]) -> Dataset:
    from dataclasses import replace

    data = toy()
    return replace(data, vocabulary=("", *names, *data.vocabulary[len(names) + 1 :]))


def test_of__some_titles_have_a_vector__rows_in_the_order_of_the_vocabulary(settings: Settings) -> None:
    names = [str(uuid.uuid4()) for _ in range(3)]
    vector = np.eye(DIMENSIONS, dtype=np.float32)[5]

    async def write() -> None:
        async with pool.async_pool(settings, "pipeline") as opened, opened.connection() as connection:
            record = ContentRecord(content_id=names[1], title="x", content_type="movie")
            await upsert_content(connection, record)
            await upsert_embedding(connection, uuid.UUID(names[1]), "test", vector, "hash")

    asyncio.run(write())
    data = data_of(names)
    found = texts.of(settings, data)
    assert found is not None
    assert found.shape == (data.size, DIMENSIONS)
    assert np.flatnonzero(found.any(axis=1)).tolist() == [2]
    assert np.allclose(found[2], vector)
    assert texts.of(settings, data_of([str(uuid.uuid4())])) is None


def test_of__no_database__none(tmp_path: Path) -> None:
    assert texts.of(Settings(home=tmp_path), toy()) is None
