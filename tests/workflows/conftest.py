"""A small library with viewers of two tastes, and workers that run in this process on a task queue of their own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis.asyncio
from temporalio.client import Client

from media.text.describe import describe, text_hash
from media.text.embedder import MODEL_NAME, TextEmbedder
from nexus import ids
from nexus.db.content import ContentRecord, upsert_content
from nexus.db.embeddings import upsert_embedding
from nexus.db.interactions import insert_interactions
from nexus.db.pool import AsyncPool, async_pool
from nexus.db.users import ensure_users
from nexus.events import Event, EventType
from nexus.settings import Settings
from tests.workflows.web3 import anvil_node, kubo, mints, swarm_key, web3_home
from workflows import client as operations
from workflows import worker
from workflows.activities.content import ContentActivities, Embedder
from workflows.activities.publish import PublishActivities
from workflows.activities.registry import RegistryActivities
from workflows.messages import IngestRequest

__all__ = ["anvil_node", "kubo", "mints", "swarm_key", "web3_home"]
SPACE = ("Star Voyage", "Galaxy at War", "Robots of Mars", "The Alien Signal", "Orbit Station Nine", "Warp Pilots")
LOVE = ("A Paris Wedding", "Letters to My Sweetheart", "Kiss in the Rain", "The Bride's Choice", "Summer Romance")
SPACE_GENRES, LOVE_GENRES = ("Action", "Sci-Fi"), ("Comedy", "Romance")

StartWorker = Callable[..., AbstractAsyncContextManager[None]]


def content_id(name: str) -> uuid.UUID:
    return ids.internal("content", ids.Reference("wftest", name.replace(" ", "_")))


def viewer_id(name: str) -> uuid.UUID:
    return ids.internal("user", ids.Reference("wftest", name))


@pytest.fixture(scope="session")
def embedder(settings: Settings) -> TextEmbedder:
    """The real sentence model, made once a session, where worker processes find it too."""
    return TextEmbedder.load(settings.home / "models")


@pytest.fixture
def platform(settings: Settings) -> Settings:
    """The session's servers with a task queue of this test's own."""
    temporal = settings.temporal.model_copy(update={"task_queue": f"test-{uuid.uuid4()}"})
    return settings.model_copy(update={"temporal": temporal})


@pytest.fixture
async def client(platform: Settings) -> Client:
    return await operations.connect(platform)


@pytest.fixture
async def pool(platform: Settings) -> AsyncIterator[AsyncPool]:
    async with async_pool(platform, "worker") as opened:
        yield opened


@pytest.fixture
async def streams(platform: Settings) -> AsyncIterator[redis.asyncio.Redis]:
    opened = redis.asyncio.from_url(platform.redis.dsn())
    yield opened
    await opened.aclose()


@pytest.fixture
async def library(platform: Settings, embedder: TextEmbedder) -> None:
    """Eleven titles with vectors; three viewers who like space, two who like love, one who wants no advice."""
    async with async_pool(platform, "worker") as pool, pool.connection() as connection:
        for names, genres in ((SPACE, SPACE_GENRES), (LOVE, LOVE_GENRES)):
            for name in names:
                text = describe(name, 2001, genres, None)
                reference = ids.Reference("wftest", name.replace(" ", "_"))
                await upsert_content(
                    connection,
                    ContentRecord(
                        content_id=content_id(name),
                        title=name,
                        content_type="movie",
                        year=2001,
                        genres=genres,
                        external_ids=(reference,),
                    ),
                )
                vector = np.asarray(embedder.embed([text])[0])
                await upsert_embedding(connection, content_id(name), MODEL_NAME, vector, text_hash(text, MODEL_NAME))
    async with async_pool(platform, "api") as pool, pool.connection() as connection:
        likes = {f"space-{n}": SPACE for n in range(3)} | {f"love-{n}": LOVE for n in range(2)} | {"private": SPACE}
        await ensure_users(connection, [(viewer_id(name), f"wftest:{name}") for name in likes])
        await connection.execute(
            "update nexus_core.users set personalization_level = 'none' where id = %s", (viewer_id("private"),)
        )
        await insert_interactions(
            connection, [_like(name, title) for name, titles in likes.items() for title in titles]
        )


def _like(viewer: str, title: str) -> Event:
    at = datetime.now(UTC) - timedelta(days=1)
    return Event(
        event_id=f"wftest-{viewer}-{title}".replace(" ", "_"),
        type=EventType.RATE,
        user_id=viewer_id(viewer),
        user_ref=f"wftest:{viewer}",
        content_id=content_id(title),
        value=4.5,
        occurred_at=at,
        received_at=at,
    )


@pytest.fixture
def a_request() -> IngestRequest:
    """A title that nobody has sent yet."""
    name = f"new-{uuid.uuid4()}"
    return IngestRequest(
        content_id=content_id(name),
        title="Starship Mutiny",
        year=2024,
        genres=("Sci-Fi", "Action"),
        overview="The crew of a starship fights robots at the edge of the galaxy.",
        external_ids=({"issuer": "wftest", "value": name},),
        similar_limit=5,
        audience_limit=5,
    )


@pytest.fixture
def start_worker(
    platform: Settings, client: Client, pool: AsyncPool, streams: redis.asyncio.Redis, embedder: TextEmbedder
) -> StartWorker:
    """Start a worker here; ``embedder`` and ``child`` replace the model and the registry's child process."""

    @asynccontextmanager
    async def start(*, embedder: Embedder = embedder, child: Sequence[str] = ("false",)) -> AsyncIterator[None]:
        content = ContentActivities(pool, embedder)
        publish, registry = PublishActivities(pool, streams), RegistryActivities(platform.home, child)
        registered = (content.store, content.embed, content.similar, content.audience, publish.publish, registry.change)
        async with worker.build(client, platform, registered):
            yield

    return start


async def until(question: Callable[[], Any], *, patience_s: float = 20.0) -> Any:
    """Ask until the answer is true; the answer."""
    async with asyncio.timeout(patience_s):
        while not (answer := await question()):  # noqa: ASYNC110 the event is in another process
            await asyncio.sleep(0.02)
        return answer


HISTORIES = Path(__file__).parent / "histories"
