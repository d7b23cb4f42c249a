"""What this process holds while it runs, and the tasks that keep it fresh.

Belongs here: building every service once, swapping the library, starting and stopping the background tasks.
Does not belong here: routes, rules.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from nexus import logs
from nexus.db.pool import async_pool
from nexus.db.seen import read_seen
from nexus.settings import Settings
from serving.content.catalogue import Catalogue
from serving.content.embedding import QueryEmbedder
from serving.content.finder import Finder
from serving.content.loader import Loader
from serving.content.service import Content
from serving.content.vectors import Vectors
from serving.events.lag import Lag
from serving.events.projector import Projector
from serving.events.service import Events
from serving.governance.service import Governance
from serving.health.service import Health
from serving.history.service import History
from serving.keys.service import Keys
from serving.metrics import Metrics
from serving.models.champion import Champion, Watcher
from serving.models.service import Models
from serving.operations.service import Operations
from serving.parts import Database, Part, redis_client
from serving.plain_redis import PlainRedis
from serving.recommendations.context import Context, feature_reader
from serving.recommendations.kept import Kept
from serving.recommendations.library import Library
from serving.recommendations.record import Recorder
from serving.recommendations.service import Recommendations
from serving.recommendations.variety import Variety
from serving.recommendations.versions import Versions
from serving.tokens.enabled import Web3
from serving.tokens.service import Tokens
from serving.viewers.memory import Memory
from serving.viewers.service import Directory
from serving.viewers.store import Viewers
from serving.wallets.rate import Rate
from serving.wallets.service import Wallets

MODEL_THREADS = 2
GC_THRESHOLDS = (10_000, 10, 1_000)
"""Nearly everything here dies by its reference count; Python's own 700 had the collector take a quarter of each batch of events."""
STOP_TRIES = 20
STOP_EACH_S = 0.25
_LOG = logs.get(__name__)


class State:
    """Everything that lives as long as the process."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.library = Library(Catalogue(), Vectors(), None)
        self.redis = redis_client(settings)
        self.redis_part = Part("redis", remedy="send the same events again in a moment: each counts once")
        self.database = Database(async_pool(settings, "api"))
        self.memory = Memory()
        self.context = Context()
        self.executor = ThreadPoolExecutor(MODEL_THREADS, thread_name_prefix="model")
        self.finder = Finder(lambda: self.library.catalogue, self.database)
        self.viewers = Viewers(self.redis, self.redis_part, self.database, self.memory)
        self.directory = Directory(self.redis, self.redis_part, self.database)
        self.history = History(self.viewers, lambda: self.library.catalogue)
        self.plain_redis = PlainRedis.of(settings)
        self.kept = Kept(lambda: self.library, Versions(self.plain_redis, self.redis_part))
        self.recorder = Recorder(self.redis, self.redis_part, metrics)
        self.recommendations = Recommendations(
            lambda: self.library,
            self.viewers,
            self.context,
            self.executor,
            metrics,
            note=self.recorder.note,
            snapshot=partial(read_seen, Path(settings.bundle_url)),
            variety=Variety(settings.serving.diversity, settings.serving.exploration),
            connect=self.database.connection,
        )
        self.content = Content(
            self.finder,
            lambda: self.library.catalogue,
            lambda: self.library.vectors,
            self.database,
            QueryEmbedder(settings.home / "models"),
        )
        self.events = Events(self.redis, self.redis_part, self.finder, self.viewers, self.memory, metrics)
        self.operations = Operations(settings, self.finder)
        self.web3 = Web3(settings)
        self.wallets = Wallets(settings, self.database, self.viewers, Rate(self.redis, self.redis_part), self.web3)
        self.tokens = Tokens(settings, self.finder, self.operations, self.database, self.web3)
        self.keys = Keys(settings, self.operations, self.database, self.web3)
        self.governance = Governance(settings, self.database, self.web3)
        self.models = Models(settings, lambda: self.library.champion)
        self.health = Health(
            lambda: self.library, self.redis, self.redis_part, self.database, self.operations, self.models
        )
        self.loader = Loader(settings, self.database, self.redis, self.use_content, lambda: self.library.known)
        self.watcher = Watcher(
            settings.bundle_url, poll_s=settings.serving.poll_s, metrics=metrics, on_change=self.use_champion
        )
        self.projector = Projector(self.redis, self.database, metrics)
        self._swapping = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def use_content(self, catalogue: Catalogue, vectors: Vectors | None) -> None:
        """Put other titles to work; requests under way keep what they have."""
        async with self._swapping:
            before = self.library
            self.library = await asyncio.to_thread(
                Library, catalogue, before.vectors if vectors is None else vectors, before.champion
            )
        self.kept.clear()
        self.metrics.titles.set(len(self.library.catalogue))
        self.metrics.vectors.set(self.library.vectors.total)

    async def use_champion(self, champion: Champion) -> None:
        """Put another model to work; requests under way keep what they have."""
        async with self._swapping:
            before = self.library
            self.library = await asyncio.to_thread(Library, before.catalogue, before.vectors, champion)
        self.kept.clear()

    async def start(self) -> None:
        """Load what there is, then keep it fresh in the background."""
        await self.database.pool.open(wait=False)
        await (
            self.watcher.look()
        )  # first: of a large catalogue the vectors of titles that the model does not know are held
        await self.loader.start()
        for name, work in (
            ("loader", self.loader.run()),
            ("watcher", self.watcher.run()),
            ("projector", self.projector.run()),
            ("recorder", self.recorder.run()),
            ("lag", Lag(self.redis, metrics=self.metrics).run()),
            ("warmer", self._warm()),
        ):
            self._tasks.append(asyncio.create_task(_guarded(name, work), name=name))

    async def stop(self) -> None:
        """End the tasks and close what is open."""
        await self.recorder.stop()
        await asyncio.gather(*map(_end, self._tasks))
        self.executor.shutdown(wait=False, cancel_futures=True)
        await self.governance.close()
        await self.redis.aclose()
        await self.plain_redis.close()
        await self.database.pool.close(timeout=2.0)

    async def _warm(self) -> None:
        """Import what the first request of its kind would otherwise wait for."""
        await asyncio.to_thread(importlib.import_module, "workflows.client")
        self.context.reader = await asyncio.to_thread(feature_reader, self.settings)
        gc.collect()
        gc.freeze()  # titles and modules live as long as the process: going through all 280,000 objects again held up every request for 0.1 to 0.3 s
        gc.set_threshold(*GC_THRESHOLDS)
        await self.health.watch()


async def _guarded(name: str, work: Coroutine[Any, Any, None]) -> None:
    """A background task must not end unseen."""
    try:
        await work
    except Exception as error:  # logged, so that the log says why something is no longer fresh  # noqa: BLE001
        _LOG.error("background_task_died", task=name, exc_info=error)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is over.

    Once is not enough: before Python 3.12 ``asyncio.wait_for`` (psycopg waits with it) loses a cancellation that
    comes together with the awaited result, and the task's loop would go on for ever.
    """
    for _ in range(STOP_TRIES):
        task.cancel()
        await asyncio.wait([task], timeout=STOP_EACH_S)
        if task.done():
            return
    _LOG.error("background_task_does_not_stop", task=task.get_name())
