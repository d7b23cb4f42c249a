"""A platform with a chain and an IPFS node for tests of workflows: real anvil, real Kubo, a database and a home of its own.

Import the fixtures into a conftest to use them elsewhere. One set for a session (and xdist worker); each test has a
task queue of its own and workers in this process.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Interceptor

from contracts.client import setup
from contracts.client.artifacts import load
from contracts.client.rpc.pool import Rpc
from nexus import temporal_names as names
from nexus.db import migrate
from nexus.db.content import ContentRecord, upsert_content
from nexus.db.pool import AsyncPool, async_pool
from nexus.errors import NexusError
from nexus.runtime.anvil import HARDFORK, HISTORY, anvil_binary
from nexus.runtime.command import Command
from nexus.runtime.fetched import Errand
from nexus.runtime.home import write_json
from nexus.settings import Settings
from tests.conftest import _free_ports, _running
from tests.contracts.ipfs.nodes import Node, kubo, swarm_key
from workflows import client as operations
from workflows import web3_worker, worker
from workflows.activities.keys import KeyActivities
from workflows.activities.web3 import Web3
from workflows.messages import OperationStatus, Step
from workflows.observing import Figures

__all__ = ["anvil_node", "kubo", "mints", "swarm_key", "web3_home"]
BLOCK_S = 0.2
ENDED = frozenset({"completed", "failed", "cancelled"})


class Anvil:
    """The node, and what only its owner can do."""

    def __init__(self, url: str, process_id: Callable[[], int]) -> None:
        self.url = url
        self._process_id = process_id
        self._http = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def ask(self, method: str, *params: Any) -> Any:
        """One question."""
        found = self._http.post("", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).json()
        assert "error" not in found, f"{method}: {found['error']}"
        return found["result"]

    def balance(self, address: str) -> int:
        """Native coin of an address."""
        return int(self.ask("eth_getBalance", address, "latest"), 16)

    def stop(self) -> None:
        """It hears, and does not answer any more."""
        signal.pidfd_send_signal(self._process_id(), signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again."""
        signal.pidfd_send_signal(self._process_id(), signal.SIGCONT)

    def transfers(self, contract: str, token_id: str) -> list[dict[str, Any]]:
        """Every Transfer of a token."""
        topic = "0x" + int(token_id).to_bytes(32, "big").hex()
        asked = {
            "address": contract,
            "fromBlock": "0x0",
            "toBlock": "latest",
            "topics": [load("NexusMedia").topic("Transfer"), None, None, topic],
        }
        return list(self.ask("eth_getLogs", asked))


def _answers(url: str) -> bool:
    try:
        return httpx.post(
            url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}, timeout=2, trust_env=False
        ).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def anvil_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """A chain with a block every fifth of a second."""
    try:
        program = anvil_binary()
    except NexusError as error:
        pytest.skip(f"anvil cannot be had here: {error.message}")
    (port,) = _free_ports(1)
    url = f"http://127.0.0.1:{port}"
    words = (program, "--port", str(port), "--block-time", str(BLOCK_S), "--hardfork", HARDFORK, "--silent", *HISTORY)
    with _running(Command(words), tmp_path_factory.mktemp("anvil") / "log", lambda: _answers(url)):
        node = Anvil(url, lambda: _holder_of(port))
        yield node
        node.close()


def _holder_of(port: int) -> int:
    """A handle of the process that listens on a port."""
    import os

    import psutil

    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            assert connection.pid is not None
            return os.pidfd_open(connection.pid)
    pytest.fail(f"nobody listens on {port}")


@pytest.fixture(scope="session")
def web3_home(settings: Settings, anvil_node: Anvil, kubo: Node, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home with a chain whose contracts are deployed, and with a database of its own."""
    return deployed(settings, anvil_node, kubo, tmp_path_factory.mktemp("web3-home"))


def deployed(settings: Settings, anvil_node: Anvil, kubo: Node, home: Path, **web3: Any) -> Settings:
    """Make such a home; ``web3`` are settings beside its own."""
    postgres = settings.postgres.model_copy(
        update={
            "url": type(settings.postgres.url)(
                settings.postgres.owner_url(driver="", database=f"web3_{uuid.uuid4().hex[:8]}")
            )
        }
    )
    built = Settings(
        home=home,
        postgres=postgres.model_dump(),
        redis={"url": settings.redis.dsn()},
        temporal=settings.temporal.model_dump(),
        web3={
            "enabled": True,
            "rpc_urls": [anvil_node.url],
            "finality_depth": 1,
            "ipfs_url": kubo.url,
            "ipfs_gateway_url": kubo.gateway,
            **web3,
        },
        keys={"password": secrets.token_hex(20)},
    )
    _publish(built)
    migrate.upgrade(built)
    setup.run(built, Errand(), is_embedded=True)
    return built


def _publish(built: Settings) -> None:
    """What the runtime writes, so that a process of its own finds everything."""
    passwords = {role: secret.get_secret_value() for role, secret in built.postgres.role_passwords.items()}
    web3 = built.web3.model_dump(mode="json", include={"enabled", "finality_depth", "ipfs_url", "ipfs_gateway_url"})
    found = {
        "postgres": {"url": built.postgres.owner_url(driver=""), "role_passwords": passwords},
        "redis": {"url": built.redis.dsn()},
        "temporal": {"address": built.temporal.address},
        "web3": web3 | {"rpc_urls": [url.get_secret_value() for url in built.web3.rpc_urls]},
        "keys": {"password": built.keys.password.get_secret_value() if built.keys.password else None},
    }
    write_json(built.home / "run" / "endpoints.json", found)


@dataclass
class Mints:
    """What a test does with mints."""

    settings: Settings
    client: Client
    pool: AsyncPool
    events: redis.asyncio.Redis
    anvil: Anvil

    async def title(self, name: str = "A title") -> uuid.UUID:
        """A title that nobody has minted."""
        content_id = uuid.uuid4()
        record = ContentRecord(content_id=content_id, title=f"{name} {content_id}", content_type="movie", year=2001)
        async with self.pool.connection() as connection:
            await upsert_content(connection, record)
        return content_id

    @asynccontextmanager
    async def workers(self, interceptors: Sequence[Interceptor] = (), timeout_s: float = 10.0) -> AsyncIterator[Web3]:
        """Both workers, in this process; ``timeout_s`` is their patience with one answer of the chain."""
        web3 = Web3(self.settings, self.pool)
        vars(web3)["rpc"] = Rpc([self.anvil.url], web3.chain, timeout_s=timeout_s)
        figures, keys = Figures(), KeyActivities(self.settings)
        registered = (keys.make, keys.activate, keys.rewrap, keys.retire)
        main = worker.build(self.client, self.settings, registered, figures)
        waiting = web3_worker.build(
            self.client, self.settings, web3_worker.activities(web3, self.events), figures, "test", interceptors
        )
        async with main, waiting:
            yield web3
        await web3.close()

    async def status(self, operation_id: str) -> OperationStatus:
        """How an operation is doing."""
        return await operations.describe_operation(self.client, operation_id)

    async def ended(self, operation_id: str, patience_s: float = 40.0) -> OperationStatus:
        """How it ended."""
        return await self.until(operation_id, lambda status: status.state in ENDED, patience_s)

    async def until(
        self, operation_id: str, question: Callable[[OperationStatus], bool], patience_s: float = 40.0
    ) -> OperationStatus:
        """The status that answers a question with yes."""
        status: OperationStatus | None = None
        try:
            async with asyncio.timeout(patience_s):
                while not question(status := await self.status(operation_id)):  # noqa: ASYNC110 another process knows
                    await asyncio.sleep(0.03)
        except TimeoutError:
            pytest.fail(f"it did not come to that: {status}")
        return status

    async def said(self, operation_id: str, step: str, words: str, patience_s: float = 40.0) -> Step:
        """The step once its detail has these words."""

        def has(status: OperationStatus) -> bool:
            return any(one.name == step and words in (one.detail or "") for one in status.steps)

        status = await self.until(operation_id, has, patience_s)
        return next(one for one in status.steps if one.name == step)

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Of the database."""
        async with self.pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def lanes(self, role: str = "minter") -> list[str]:
        """Keys in use."""
        found = await self.rows(
            "select address from nexus_web3.signers where role = %s and state = 'active' order by 1", role
        )
        return [address for (address,) in found]


StartWorkers = Callable[..., AbstractAsyncContextManager[Web3]]


@pytest.fixture
async def mints(web3_home: Settings, anvil_node: Anvil) -> AsyncIterator[Mints]:
    """The platform with a task queue of this test's own."""
    async with opened(web3_home, anvil_node) as found:
        yield found


@asynccontextmanager
async def opened(web3_home: Settings, anvil_node: Anvil) -> AsyncIterator[Mints]:
    """What a test does with mints of a home."""
    temporal = web3_home.temporal.model_copy(update={"task_queue": f"test-{uuid.uuid4()}"})
    settings = web3_home.model_copy(update={"temporal": temporal})
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(async_pool(settings, "worker", max_size=12))
        events = redis.asyncio.from_url(settings.redis.dsn())
        stack.push_async_callback(events.aclose)
        client = await operations.connect(settings)
        yield Mints(settings, client, pool, events, anvil_node)
        # There is one rotation at a time on a platform, and tests share the server: what waits for this test's queue is ended.
        for singleton in (names.rotate_signer_id(), names.rotate_keys_id()):
            with suppress(RPCError):
                await client.get_workflow_handle(singleton).terminate("the test is over")
