"""A real anvil for tests of contracts: one for a session (and xdist worker), put back after each test.

Import the fixtures ``anvil`` and ``chain`` into a conftest of your own to use them elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest

from contracts.client.rpc.errors import Answered
from contracts.devnode import DevNode, running
from nexus.errors import Category, NexusError


@pytest.fixture(scope="session")
def anvil() -> Iterator[DevNode]:
    """A node that mines each transaction at once; its accounts have 10,000 coins each and sign by themselves."""
    try:
        context = running()
        node = context.__enter__()
    except NexusError as error:
        if error.category is not Category.UNAVAILABLE:
            raise
        pytest.skip(f"no anvil here: {error.message}")
    try:
        yield node
    finally:
        context.__exit__(None, None, None)


@pytest.fixture
def chain(anvil: DevNode) -> Iterator[DevNode]:
    """The session's node; what a test does to it is forgotten afterwards."""
    with anvil.scratch():
        yield anvil


class AsyncNode:
    """The same node, asked as wrappers ask."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Ask."""
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = (await self._http.post(self._url, json=question)).json()
        if "error" in answer:
            error = answer["error"]
            raise Answered(error["code"], error["message"], error.get("data"))
        return answer["result"]

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()


@pytest.fixture
async def rpc(chain: DevNode) -> AsyncIterator[AsyncNode]:
    """What wrappers ask through."""
    node = AsyncNode(chain.url)
    yield node
    await node.close()
