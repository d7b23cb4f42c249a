"""The API and both workers with a real chain, IPFS node, Postgres and Temporal, in a thread beside the test.

Belongs here: that platform, for tests that are not asynchronous themselves (a browser, the command line).
Does not belong here: the chain and the nodes (tests.workflows.web3).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import uvicorn

from nexus.db.pool import async_pool
from nexus.settings import Settings
from tests.workflows.web3 import Anvil, Mints
from workflows import client as operations

READY_S = 60.0


@dataclass
class Minting:
    """A running platform that mints."""

    url: str
    settings: Settings
    anvil: Anvil
    mints: Mints
    loop: asyncio.AbstractEventLoop

    def title(self, name: str) -> str:
        """A title that nobody has minted."""
        return str(self.run(self.mints.title(name)))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something on the platform's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(READY_S)


@pytest.fixture
def minting(web3_home: Settings, anvil_node: Anvil, tmp_path: Path) -> Iterator[Minting]:
    """It listens on a free port, with a task queue and a bundle folder of this test's own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who connects before the app is up waits
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = web3_home.model_copy(
            update={
                "temporal": web3_home.temporal.model_copy(update={"task_queue": f"test-{uuid.uuid4()}"}),
                "serving": web3_home.serving.model_copy(update={"bundle_url": str(tmp_path / "bundles")}),
                "api": web3_home.api.model_copy(update={"url": url}),
            }
        )
        ready: concurrent.futures.Future[tuple[Minting, uvicorn.Server]] = concurrent.futures.Future()
        thread = threading.Thread(target=_serve, args=(settings, anvil_node, url, listening, ready), daemon=True)
        thread.start()
        made, server = ready.result(READY_S)
        yield made
        server.should_exit = True
        thread.join(READY_S)


def _serve(settings: Settings, anvil: Anvil, url: str, listening: socket.socket, ready: Any) -> None:
    async def serve() -> None:
        from serving.app import create_app

        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, lifespan="on"))
        events = redis.asyncio.from_url(settings.redis.dsn())
        async with async_pool(settings, "worker", max_size=12) as pool:
            mints = Mints(settings, await operations.connect(settings), pool, events, anvil)
            async with mints.workers():
                ready.set_result((Minting(url, settings, anvil, mints, asyncio.get_running_loop()), server))
                await server.serve(sockets=[listening])
        await events.aclose()

    try:
        asyncio.run(serve())
    except Exception as error:  # the test hears of it, instead of waiting  # noqa: BLE001
        if not ready.done():
            ready.set_exception(error)
