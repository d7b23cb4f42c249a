"""A small world for serving: titles, viewers, vectors, a real (tiny) ONNX bundle, and the app over it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest

from nexus import ids
from nexus.settings import ServingSettings, Settings
from tests.serving.live_web3 import minting
from tests.workflows.web3 import anvil_node, kubo, mints, swarm_key, web3_home
from training.content.describer import Describer
from training.content.served import Projection, Served

__all__ = ["anvil_node", "kubo", "minting", "mints", "swarm_key", "web3_home"]
GENRES = ("Crime", "Space")
LENGTH = 8


def content_id(ref: str) -> str:
    return str(ids.internal("content", ids.parse(ref)))


def user_id(ref: str) -> UUID:
    return ids.internal("user", ids.parse(ref))


def write_bundle(
    folder: Path, version: str, vocabulary: list[str], *, tilt: float = 0.0, content: Projection | None = None
) -> Path:
    """A model that likes even titles after even ones and odd after odd; ``tilt`` favours later titles."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    count = len(vocabulary) + 1
    position = np.arange(count)
    weight = np.where((position[:, None] % 2) == (position[None, :] % 2), 1.0, -0.2).astype(np.float32)
    weight += (0.001 * (count - np.abs(position[:, None] - position[None, :]))).astype(np.float32)
    weight[0] = weight[:, 0] = 0
    static = (0.01 * tilt * position).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["weight", "items"], ["rows"], axis=0),
        helper.make_node("Add", ["values", "half"], ["strength"]),
        helper.make_node("Unsqueeze", ["strength", "last"], ["strength3"]),
        helper.make_node("Mul", ["rows", "strength3"], ["whole"]),
        helper.make_node("ReduceSum", ["whole", "middle"], ["summed"], keepdims=0),
        helper.make_node("Add", ["summed", "static"], ["scores"]),
        helper.make_node("Unsqueeze", ["titles", "middle"], ["columns"]),
        helper.make_node("Expand", ["columns", "every_row"], ["everywhere"]),
        helper.make_node("GatherElements", ["whole", "everywhere"], ["contributions"], axis=2),
    ]
    named = {
        "weight": weight,
        "static": static,
        "half": np.array([0.5], np.float32),
        "last": np.array([2], np.int64),
        "middle": np.array([1], np.int64),
        "every_row": np.array([1, LENGTH, 1], np.int64),
    }
    floats = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", LENGTH if name != "context" else 1])
        for name in ("values", "ages_days", "context")
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("items", TensorProto.INT64, ["B", LENGTH]),
            *floats,
            helper.make_tensor_value_info("titles", TensorProto.INT64, ["B", "K"]),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", count]),
            helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["B", LENGTH, "K"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in named.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    bundle = folder / "models" / version
    bundle.mkdir(parents=True, exist_ok=True)
    onnx.save(model, bundle / "model.onnx")
    (bundle / "vocabulary.json").write_text(json.dumps(["", *vocabulary]))
    if content is not None:
        content.write(bundle / "content.safetensors")
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundle.iterdir()
        if path.name != "bundle.json"
    }
    manifest = {
        "version": version,
        "model_name": "recommender",
        "created_at": datetime.now(UTC).isoformat(),
        "data_hash": "abc",
        "metrics": {"ndcg_at_10": 0.1},
        "floors": {"popularity": {"ndcg_at_10": 0.05}},
        "protocol": "a test",
        "history_length": LENGTH,
        "context_features": ["viewer_mean"],
        "titles": count - 1,
        "files": files,
    }
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    return bundle


@dataclass
class World:
    """What a test starts from. Its names are its own, because servers are shared by all tests."""

    settings: Settings
    tag: str
    titles: list[str] = field(default_factory=list)
    new_title: str = ""
    viewer: str = ""
    quiet_viewer: str = ""

    @property
    def bundles(self) -> Path:
        return Path(self.settings.bundle_url)

    def event(
        self, kind: str = "view", *, user: str | None = None, content: str | None = None, **more: Any
    ) -> dict[str, Any]:
        known = {
            "event_id": f"e-{uuid4()}",
            "type": kind,
            "user": user or self.viewer,
            "content": content or self.titles[0],
        }
        return known | more


def fill(settings: Settings, world: World, titles: int = 24) -> None:
    """Titles, vectors (crime and space apart from each other), viewers, popularity."""
    from nexus.db import pool
    from nexus.db.content import ContentRecord, upsert_content
    from nexus.db.embeddings import upsert_embedding
    from nexus.db.users import ensure_users

    rng = np.random.default_rng(5)
    axes = np.linalg.qr(rng.normal(size=(384, 2)))[0].T
    world.titles = [f"srv:{world.tag}-{number}" for number in range(1, titles + 1)]
    world.new_title = f"srv:{world.tag}-new"
    world.viewer = f"srvuser:{world.tag}-1"
    world.quiet_viewer = f"srvuser:{world.tag}-quiet"

    async def write() -> None:
        async with pool.async_pool(settings, "pipeline") as opened, opened.connection() as connection:
            for number, ref in enumerate([*world.titles, world.new_title], 1):
                genre = GENRES[number % 2]
                record = ContentRecord(
                    content_id=content_id(ref),
                    title=f"{world.tag} {genre} {number} (1995)",
                    content_type="movie",
                    year=1995,
                    genres=(genre,),
                    external_ids=(ids.parse(ref),),
                )
                await upsert_content(connection, record)
                vector = (axes[number % 2] + 0.05 * rng.normal(size=384)).astype(np.float32)
                vector /= np.linalg.norm(vector)
                await upsert_embedding(connection, record.content_id, "test", vector, f"hash-{number}")
            viewers = [world.viewer, world.quiet_viewer]
            await ensure_users(connection, [(user_id(ref), ids.parse(ref)) for ref in viewers])
            await connection.execute(
                "insert into nexus_analytics.title_popularity (content_id, interactions, interactions_90d, popularity_score)"
                " select id, 5, 1, 0.5 from nexus_core.content on conflict do nothing"
            )

    asyncio.run(write())


@pytest.fixture(scope="session")
def _filled(settings: Settings) -> World:
    world = World(settings, f"w{uuid4().hex[:8]}")
    fill(settings, world)
    return world


@pytest.fixture
def world(_filled: World, tmp_path: Path) -> World:
    """The shared titles and the test's own viewers and bundle folder, champion version 1."""
    serving = ServingSettings(bundle_url=str(tmp_path / "bundles"), poll_s=0.05)
    own = World(
        _filled.settings.model_copy(update={"serving": serving}),
        _filled.tag,
        _filled.titles,
        _filled.new_title,
        f"srvuser:{uuid4().hex[:8]}",
        _filled.quiet_viewer,
    )
    promote(own, "1")
    return own


def promote(world: World, version: str, *, tilt: float = 0.0, content: Projection | None = None) -> None:
    from training.bundle_format import write_pointer

    names = [content_id(ref) for ref in world.titles]
    write_bundle(world.bundles, version, names, tilt=tilt, content=content)
    write_pointer(world.bundles, version)


def by_genre(titles: int) -> Projection:
    """What a projection says that knows genres alone: a title asks for its own."""
    describer = Describer(GENRES, 5.0, np.zeros(384), np.zeros((384, 0)))
    rows = describer.rows([(GENRES[number % 2],) for number in range(1, titles + 1)], [1995.0] * titles)
    own = np.zeros(describer.width, np.float32)
    own[describer.blocks["genres"]] = 2.0
    arrays = {
        "titles": np.arange(1, titles + 1),
        "left": (rows * own).astype(np.float16),
        "scale": np.ones(titles, np.float32),
        "own": own,
        "popular": np.zeros_like(own),
        "reference": rows[:1].astype(np.float16) * np.float16(0.5),
        "mean": np.zeros(384, np.float32),
        "axes": np.zeros((384, 0), np.float32),
    }
    return Projection(Served(genres=GENRES, years_width=5.0, last=20, decay=0.5), arrays)


@pytest.fixture
def genre_projection() -> Projection:
    return by_genre(24)


@pytest.fixture
def promote_version() -> Callable[..., None]:
    return promote


@pytest.fixture
def make_bundle() -> Callable[..., Path]:
    return write_bundle


Serve = Callable[[Settings], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve() -> Serve:
    """The app with its lifespan, behind a client in this process."""

    @asynccontextmanager
    async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        from serving.app import create_app

        app = create_app(settings)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://nexus") as client,
        ):
            client.app = app  # type: ignore[attr-defined]
            yield client

    return running


@pytest.fixture(scope="module")
def shared(_filled: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One running app for tests that change nothing."""
    from starlette.testclient import TestClient

    from serving.app import create_app

    serving = ServingSettings(bundle_url=str(tmp_path_factory.mktemp("bundles")))
    with TestClient(create_app(_filled.settings.model_copy(update={"serving": serving}))) as client:
        yield client
