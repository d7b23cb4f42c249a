"""The part of the worker that waits for a chain and for IPFS: slots, connections and a queue of its own.

Thousands of mints may be stuck here and an ingest starts as fast as ever. Belongs here: what is registered, the look
after lanes between operations, the schedule of rotations. Does not belong here: workflows (they run on the main queue),
what activities do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import redis.asyncio
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Interceptor, Worker

from nexus import logs
from nexus import temporal_names as names
from nexus.db.pool import async_pool
from nexus.errors import NexusError
from nexus.settings import Settings
from workflows.activities.governance import GovernanceActivities
from workflows.activities.manifest import ManifestActivities
from workflows.activities.mint import MintActivities
from workflows.activities.pins import PinActivities
from workflows.activities.rotation import RotationActivities
from workflows.activities.tokens import TokenActivities
from workflows.activities.transactions import TransactionActivities
from workflows.activities.web3 import Web3
from workflows.key_messages import RotateSignerRequest
from workflows.observing import Counting, Figures

SLOTS = 12
_GRACE = timedelta(seconds=8)
MEND_EVERY_S = 15.0
LONGEST_MEND_S = 300.0


def activities(web3: Web3, client: redis.asyncio.Redis) -> Sequence[Callable[..., Any]]:
    """Every activity of this queue, with what it needs."""
    mint, pins, rotation = MintActivities(web3), PinActivities(web3), RotationActivities(web3)
    governance = GovernanceActivities(web3)
    return (
        TransactionActivities(web3).advance,
        mint.validate,
        mint.metadata,
        mint.owner,
        mint.record,
        mint.forget,
        pins.pin,
        pins.unpin,
        ManifestActivities(web3).sign,
        TokenActivities(client).publish,
        governance.releases,
        governance.proposal,
        rotation.begin,
        rotation.grant,
        rotation.switch,
        rotation.drain,
        rotation.revoke,
        rotation.verify,
        rotation.sweep,
        rotation.end,
    )


def build(
    client: Client,
    settings: Settings,
    registered: Sequence[Callable[..., Any]],
    figures: Figures,
    build_id: str,
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """A worker of the queue; it runs no workflows."""
    return Worker(
        client,
        task_queue=names.web3_queue(settings.temporal.task_queue),
        activities=registered,
        interceptors=[Counting(figures), *interceptors],
        build_id=build_id,
        # A wish to cancel comes with the answer to a heartbeat.
        max_heartbeat_throttle_interval=timedelta(milliseconds=500),
        default_heartbeat_throttle_interval=timedelta(milliseconds=500),
        max_concurrent_activity_task_polls=2,
        max_concurrent_activities=SLOTS,
        graceful_shutdown_timeout=_GRACE,
    )


@asynccontextmanager
async def running(
    client: Client, settings: Settings, events: redis.asyncio.Redis, figures: Figures, build_id: str
) -> AsyncIterator[None]:
    """Work, look after lanes, keep the schedule, as long as the block lasts; nothing where there is no chain."""
    if not settings.web3.enabled:
        yield
        return
    pool = async_pool(settings, "worker", max_size=SLOTS)
    web3 = Web3(settings, pool, figures.registry)
    try:
        await pool.open(wait=False)
        async with build(client, settings, activities(web3, events), figures, build_id):
            helpers = [asyncio.create_task(mending(web3)), asyncio.create_task(scheduling(client, settings))]
            try:
                yield
            finally:
                for helper in helpers:
                    helper.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
    finally:
        await web3.close()
        await pool.close()


async def mending(web3: Web3) -> None:
    """Put lanes right again and again: gaps, lost counters, payloads that no node holds any more."""
    log, pause_s = logs.get(__name__), MEND_EVERY_S
    while True:
        await asyncio.sleep(pause_s)
        try:
            mended = await web3.transactions.mend()
        except NexusError as error:
            pause_s = min(LONGEST_MEND_S, pause_s * 2)
            log.warning("lanes_not_mended", retry_in_s=pause_s, reason=error.message)
        else:
            pause_s = MEND_EVERY_S
            if mended.notes:
                log.warning("lanes_mended", filled=mended.filled, rewound=mended.rewound, notes=mended.notes[:5])


async def scheduling(client: Client, settings: Settings) -> None:
    """Make the engine's schedule of rotations what the settings say; tried until the engine takes it."""
    pause_s = 1.0
    while True:
        try:
            await schedule_rotation(client, settings)
        except (RPCError, RuntimeError) as error:
            logs.get(__name__).warning("schedule_not_set", retry_in_s=pause_s, reason=str(error)[:200])
            await asyncio.sleep(pause_s)
            pause_s = min(60.0, pause_s * 2)
        else:
            return


async def schedule_rotation(client: Client, settings: Settings) -> None:
    """One schedule for each installation: made, changed, or removed."""
    schedule_id = f"{names.ROTATE_SIGNER_SCHEDULE}-{settings.temporal.task_queue}"
    handle = client.get_schedule_handle(schedule_id)
    cron = settings.web3.rotate_signer
    if cron is None:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            names.ROTATE_SIGNER_WORKFLOW,
            RotateSignerRequest(),
            id="rotate-signer-scheduled",
            task_queue=settings.temporal.task_queue,
        ),
        spec=ScheduleSpec(cron_expressions=[cron.strip()]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )

    def changed(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule=schedule)

    try:
        await client.create_schedule(schedule_id, schedule)
    except ScheduleAlreadyRunningError:
        await handle.update(changed)
