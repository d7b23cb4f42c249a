"""The process that carries workflows on: ``python -m workflows.worker``.

Belongs here: what is registered, the worker's tuning, start and stop. Its readiness is the server's word: the task
queue has a poller. Does not belong here: what workflows and activities do.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import redis.asyncio
from temporalio.client import Client
from temporalio.worker import Worker

from nexus import logs, telemetry
from nexus.db.pool import AsyncPool, async_pool
from nexus.errors import Category, NexusError
from nexus.exporter.collect import serve
from nexus.settings import Settings, load
from workflows import web3_worker
from workflows.activities.content import ContentActivities, LazyEmbedder
from workflows.activities.keys import KeyActivities
from workflows.activities.publish import PublishActivities
from workflows.activities.registry import RegistryActivities
from workflows.connection import connect
from workflows.ingest import IngestAnalyseRecommend
from workflows.mint import MintMedia
from workflows.observing import Counting, Figures, runtime
from workflows.promote import PromoteModel
from workflows.proposals import ExecuteProposal
from workflows.rotate_keys import RotateKeys
from workflows.rotate_signer import RotateSigner
from workflows.royalties import DistributeRoyalties

WORKFLOWS: tuple[type, ...] = (
    IngestAnalyseRecommend,
    PromoteModel,
    MintMedia,
    DistributeRoyalties,
    ExecuteProposal,
    RotateSigner,
    RotateKeys,
)
GRACE = timedelta(seconds=8)
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0


def activities(settings: Settings, pool: AsyncPool, client: redis.asyncio.Redis) -> Sequence[Callable[..., Any]]:
    """Every activity, with what it needs."""
    content = ContentActivities(pool, LazyEmbedder(settings.home / "models"))
    publish = PublishActivities(pool, client)
    registry, keys = RegistryActivities(settings.home), KeyActivities(settings)
    return (
        content.store,
        content.embed,
        content.similar,
        content.audience,
        publish.publish,
        registry.change,
        keys.make,
        keys.activate,
        keys.rewrap,
        keys.retire,
    )


def build(
    client: Client, settings: Settings, registered: Sequence[Callable[..., Any]], figures: Figures | None = None
) -> Worker:
    """A worker of the configured task queue; traced, because the client is."""
    return Worker(
        client,
        task_queue=settings.temporal.task_queue,
        workflows=WORKFLOWS,
        activities=registered,
        interceptors=[Counting(figures or Figures())],
        # Without one, the bytecode of every loaded module is hashed: 36 s in a big process (temporalio 1.35).
        build_id=_build_id(),
        # With the defaults (10 s, 30 s, 60 s) the work of a killed worker goes on after 16 s; so after 6.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        default_heartbeat_throttle_interval=timedelta(milliseconds=100),
        # More pollers and slots were slower on a two-core machine (research of 2026-11-22).
        max_concurrent_workflow_task_polls=2,
        max_concurrent_activity_task_polls=2,
        max_concurrent_workflow_tasks=20,
        max_concurrent_activities=16,
        max_cached_workflows=200,
        graceful_shutdown_timeout=GRACE,
    )


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until told to stop; then finish what runs, for some seconds at most."""
    log = logs.get(__name__)
    client = await _connect_patiently(settings, stop)
    if client is None:
        return
    pool = async_pool(settings, "worker")
    events = redis.asyncio.from_url(settings.redis.dsn(), socket_timeout=5, socket_connect_timeout=5)
    try:
        await pool.open(wait=False)
        figures = Figures()
        worker = build(client, settings, activities(settings, pool, events), figures)
        _show(settings, figures)
        async with web3_worker.running(client, settings, events, figures, _build_id()):
            running = asyncio.create_task(worker.run())
            log.info("worker_started", task_queue=settings.temporal.task_queue, namespace=settings.temporal.namespace)
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not running.done():
                log.info("worker_stopping")
                await worker.shutdown()
            await running
        log.info("worker_stopped")
    finally:
        await pool.close()
        await events.aclose()


def _show(settings: Settings, figures: Figures) -> None:
    """Figures are worth having, not worth failing for."""
    if settings.telemetry.metrics_url is None:
        return
    try:
        serve(settings, figures.registry)
    except OSError as error:
        logs.get(__name__).warning("figures_missing", source="worker", reason=str(error))


async def _connect_patiently(settings: Settings, stop: asyncio.Event) -> Client | None:
    """A client, as soon as there is a server; None when told to stop before."""
    pause = FIRST_RETRY_S
    engine = runtime(settings)
    while not stop.is_set():
        try:
            return await connect(settings, runtime=engine)
        except NexusError as error:
            if error.category is not Category.UNAVAILABLE or settings.temporal.address is None:
                raise
            logs.get(__name__).warning("temporal_unreachable", retry_in_s=pause, address=settings.temporal.address)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            pause = min(pause * 2, LONGEST_RETRY_S)
    return None


def _build_id() -> str:
    try:
        return f"nexus-{importlib.metadata.version('nexus')}"
    except importlib.metadata.PackageNotFoundError:
        return "nexus-source"


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


def main() -> int:
    """The process."""
    logs.configure(part="worker")
    try:
        settings = load()
        logs.configure(part="worker", level=settings.log_level)
        telemetry.configure(settings, "worker")
        # A refused activity is told in one line of our own (workflows/activities/edge.py), without a traceback.
        logging.getLogger("temporalio.activity").setLevel("ERROR")
        asyncio.run(_main(settings))
    except NexusError as error:
        logs.get(__name__).error(
            "worker_failed", **{k: v for k, v in error.as_dict().items() if k != "message"}, reason=error.message
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
