"""A process that dies at any line: the next one continues, and the token exists once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.client.signers.keystore import Keystore
from contracts.client.transactions.model import Transaction
from tests.contracts.transactions.conftest import World

pytestmark = pytest.mark.integration


class Killed(BaseException):
    """Nothing catches this, as nothing catches SIGKILL."""


class Bomb:
    """Goes off at its ``fuse``-th boundary: before or after a statement, a commit, a request, a signature."""

    def __init__(self, fuse: int) -> None:
        self.fuse = fuse
        self.passed: list[str] = []

    def tick(self, where: str) -> None:
        self.passed.append(where)
        if len(self.passed) == self.fuse:
            raise Killed(where)


class MinedConnection:
    """A connection whose statements and commits are boundaries."""

    def __init__(self, real: Any, bomb: Bomb) -> None:
        self._real, self._bomb = real, bomb

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def execute(self, query: str, *rest: Any, **named: Any) -> Any:
        self._bomb.tick(f"before {query.split(maxsplit=1)[0]}")
        done = await self._real.execute(query, *rest, **named)
        self._bomb.tick(f"after {query.split(maxsplit=1)[0]}")
        return done

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._real.transaction() as change:
            yield change
            self._bomb.tick("before commit")
        self._bomb.tick("after commit")


class MinedPool:
    """A pool that hands such connections out."""

    def __init__(self, real: Any, bomb: Bomb) -> None:
        self._real, self._bomb = real, bomb

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[MinedConnection]:  # noqa: ASYNC109
        async with self._real.connection(timeout=timeout) as connection:
            yield MinedConnection(connection, self._bomb)


class MinedRpc:
    """Nodes whose every request is a boundary."""

    def __init__(self, real: Any, bomb: Bomb) -> None:
        self._real, self._bomb = real, bomb

    def health(self) -> Any:
        return self._real.health()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        async def asked(*args: Any, **named: Any) -> Any:
            self._bomb.tick(f"before {name}")
            done = await real(*args, **named)
            self._bomb.tick(f"after {name}")
            return done

        return asked


class MinedKeys:
    """Keys whose signatures are boundaries."""

    def __init__(self, real: Keystore, bomb: Bomb) -> None:
        self._real, self._bomb = real, bomb

    def signer(self, address: str) -> Any:
        return MinedSigner(self._real.signer(address), self._bomb)


class MinedSigner:
    def __init__(self, real: Any, bomb: Bomb) -> None:
        self._real, self._bomb = real, bomb

    async def sign_many(self, txs: Any) -> Any:
        self._bomb.tick("before signing")
        done = await self._real.sign_many(txs)
        self._bomb.tick("after signing")
        return done


async def life(world: World, text: str, bomb: Bomb | None = None) -> Transaction:
    """One mint from its submission to its end, as one process does it."""
    manager = world.manager()
    if bomb is not None:
        manager = world.manager(
            rpc=MinedRpc(world.rpc, bomb), pool=MinedPool(world.pool, bomb), signers=MinedKeys(world.keys, bomb)
        )
    await manager.submit(world.mint(text))
    return await manager.until_final(world.mint(text).key, lambda _: world.node.mine())


async def test_mint__process_killed_at_each_boundary__happens_once_and_leaves_no_gap(world: World) -> None:
    lane = await world.lane()
    whole = Bomb(fuse=0)
    await life(world, "whole", whole)
    boundaries = len(whole.passed)
    assert boundaries > 30

    texts = ["whole"]
    for fuse in range(1, boundaries + 1):
        bomb = Bomb(fuse)
        with pytest.raises(Killed):
            await life(world, f"killed-{fuse}", bomb)
        found = await life(world, f"killed-{fuse}")
        assert found.state == "final", f"killed {bomb.passed[-1]}: {found}"
        texts.append(f"killed-{fuse}")

    assert world.is_once(*texts)
    assert [nonce for (nonce,) in await world.rows("nonce")] == list(range(world.node.nonce(lane)))


async def test_mint__process_killed_at_each_boundary_while_the_chain_reorganises__happens_once(world: World) -> None:
    lane = await world.lane()
    texts = []
    for fuse in range(1, 45, 4):
        text = f"killed-{fuse}"
        with pytest.raises(Killed):
            await life(world, text, Bomb(fuse))
        world.node.reorganise(1)
        assert (await life(world, text)).state == "final"
        texts.append(text)
    assert world.is_once(*texts)
    assert [nonce for (nonce,) in await world.rows("nonce")] == list(range(world.node.nonce(lane)))
