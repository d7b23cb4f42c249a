"""A worker process killed at each boundary of a mint, right after the work and before its answer: exactly one Transfer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexus.settings import ROOT
from tests.marks import IS_EXHAUSTIVE
from tests.workflows.web3 import Mints
from workflows.activities import names
from workflows.client import start_mint

pytestmark = pytest.mark.integration

EVERY = [
    (names.VALIDATE_MINT, 1),
    (names.MAKE_METADATA, 1),
    (names.PIN_METADATA, 1),
    (names.SIGN_MANIFEST, 1),
    (names.ADVANCE_CALL, 1),
    (names.ADVANCE_CALL, 2),
    (names.RECORD_TOKEN, 1),
    (names.PUBLISH_TOKEN, 1),
]
SOME = [(names.ADVANCE_CALL, 1)]


@contextmanager
def _worker(mints: Mints, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "NEXUS_HOME": str(mints.settings.home),
        "NEXUS_TEMPORAL__TASK_QUEUE": mints.settings.temporal.task_queue,
        "PYTHONPATH": str(ROOT),
    }
    script = Path(__file__).with_name("dying_worker.py")
    process = subprocess.Popen([sys.executable, str(script), *words], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize(("activity", "times"), EVERY if IS_EXHAUSTIVE else SOME)
async def test_mint__worker_killed_after_an_activity__ends_with_exactly_one_transfer(
    mints: Mints, activity: str, times: int
) -> None:
    content_id = await mints.title()
    operation_id = await start_mint(mints.client, mints.settings, content_id)
    with _worker(mints, activity, str(times)) as dying:
        assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
    assert (await mints.status(operation_id)).state == "running"
    async with mints.workers():
        status = await mints.ended(operation_id, 60)
    assert status.state == "completed", status.error
    assert status.result is not None
    assert len(mints.anvil.transfers(status.result["contract"], status.result["token_id"])) == 1
    tokens = await mints.rows("select count(*) from nexus_web3.nft_content where content_id = %s", content_id)
    sent = await mints.rows("select count(*) from nexus_web3.transactions where key like %s", f"mint-{content_id}%")
    assert (tokens, sent) == ([(1,)], [(1,)])
