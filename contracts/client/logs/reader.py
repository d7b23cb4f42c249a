"""Asking nodes for blocks and logs: what is asked, how much at once, which endpoints have to agree.

Belongs here: single questions, each answer read strictly, heads proven. Does not belong here: whether answers fit
together (section.py), what was read before (follow.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from contracts.client.chains import Chain
from contracts.client.logs import proofs
from contracts.client.logs.values import Header, Inconsistent, Log, Point, TooMuch, header, logs
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.health import Health
from nexus.errors import Category, NexusError

MAX_SPAN = 1_000
"""Most blocks read at once."""
_FIRST_SPAN = 200
_PATIENCE = 20
"""Answers of a size that pass before more is asked for, once more was too much."""
# Bor gives receipts of state syncs that are not in the tree.
_OTHER_RECEIPTS = frozenset({"polygon", "amoy"})
# Away altogether: asking for less would not help.
_AWAY = frozenset({"unreached", "lost", "status", "wrong chain", "disagreement"})
Question = tuple[str, Sequence[Any]]


class Node(Protocol):
    """What of :class:`contracts.client.rpc.pool.Rpc` a reader needs."""

    chain: Chain

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Ask one endpoint."""
        ...

    async def quorum(self, method: str, params: Sequence[Any] = (), agree: int = 2, *, by: Any = None) -> Any:
        """Ask several."""
        ...

    async def batch(self, questions: Sequence[Question]) -> list[Any]:
        """Ask many questions."""
        ...

    def health(self) -> list[Health]:
        """How each endpoint is."""
        ...


class Reader:
    """Reads blocks and logs of one chain.

    Attributes:
        span: How many blocks to read at once; smaller after a node could not give so many.
        has_plain_receipts: Whether all receipts of a block are in its tree.
    """

    def __init__(self, node: Node) -> None:
        self.chain = node.chain
        self.span = _FIRST_SPAN
        self.has_plain_receipts = node.chain.name not in _OTHER_RECEIPTS
        self._node = node
        self._well, self._patience = 0, 1

    @property
    def has_others(self) -> bool:
        """Whether there is more than one endpoint to compare."""
        return len(self._node.health()) > 1

    async def genesis(self) -> str:
        """The name of the first block: another one after the chain was wiped.

        It is what the second block names: an anvil that was restarted from its state may show a first block that is
        none of the chain's (it keeps the empty one of each start, and takes any of them).
        """
        second = await self._agreed("eth_getBlockByNumber", ("0x1", False))
        if second is not None:
            return header(second).parent
        return header(await self._agreed("eth_getBlockByNumber", ("0x0", False))).hash

    async def head(self) -> Header:
        """The newest block."""
        return header(await self._node.call("eth_getBlockByNumber", ("latest", False)))

    async def final(self, head: int) -> int:
        """The highest block that counts as final, by the chain's rule; below zero: none."""
        if self.chain.finality == "depth":
            return self.chain.final_block(head)
        said = await self._node.call("eth_getBlockByNumber", ("finalized", False))
        return self.chain.final_block(head, header(said).number if said is not None else None)

    async def blocks(self, numbers: Sequence[int]) -> list[Header | None]:
        """The blocks at these heights, as they stand now; None: the node has none there.

        Raises:
            Inconsistent: One of them does not hash to its name.
            Indeterminate: Some were not answered.
        """
        questions = [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
        found: list[Header | None] = []
        for number, said in zip(numbers, await self._node.batch(questions), strict=True):
            if isinstance(said, Exception):
                raise said
            block = None if said is None else header(said)
            if block is not None:
                if block.number != number:
                    raise Inconsistent(f"block {block.number} was given for block {number}")
                proofs.check_header(block)
            found.append(block)
        return found

    async def point(self, number: int) -> Point:
        """The block at a height.

        Raises:
            Inconsistent: No endpoint has one there.
        """
        if number == 0:
            return Point(0, await self.genesis())
        (block,) = await self.blocks([number])
        if block is None:
            raise Inconsistent(f"no endpoint has block {number}")
        return Point(number, block.hash)

    async def confirm(self, block: Header) -> None:
        """See that a second endpoint, where there is one, has the same block at this height.

        Raises:
            Inconsistent: It has another.
        """
        said = await self._agreed("eth_getBlockByNumber", (hex(block.number), False))
        if said is None or header(said).hash != block.hash:
            raise Inconsistent(f"the endpoints have different blocks {block.number}")

    async def logs(self, first: int, last: int, addresses: Collection[str]) -> list[Log]:
        """Logs of a range of heights, as one endpoint tells them.

        Raises:
            TooMuch: The node cannot give so many; ``span`` is half of it now.
            NexusError: ``unavailable`` when it refuses even one block.
        """
        count = last - first + 1
        try:
            found = logs(await self._node.call("eth_getLogs", (_asked(first, last, addresses),)))
        except (Indeterminate, Answered) as error:
            if isinstance(error, Indeterminate) and (error.kind in _AWAY or count == 1):
                raise
            if isinstance(error, Answered) and count == 1:
                raise _refused(error, first) from error
            self._patience = _PATIENCE
            self.span, self._well = max(1, count // 2), 0
            raise TooMuch(f"{count} blocks at once are too many: {error}") from error
        self._well += count >= self.span
        if self._well >= self._patience:
            self.span, self._well = min(MAX_SPAN, self.span * 2), 0
        return found

    async def agreed_logs(self, first: int, last: int, addresses: Collection[str]) -> list[Log]:
        """The same, as two endpoints tell them.

        Raises:
            Indeterminate: They do not agree, or one does not answer.
        """
        return logs(await self._node.quorum("eth_getLogs", (_asked(first, last, addresses),), by=_told))

    async def receipts(self, blocks: Sequence[Header]) -> list[Any]:
        """All receipts of each block, unread; Answered where the node has no such method."""
        found = await self._node.batch([("eth_getBlockReceipts", (block.hash,)) for block in blocks])
        for said in found:
            if isinstance(said, Indeterminate):
                raise said
        return found

    async def _agreed(self, method: str, params: Sequence[Any]) -> Any:
        return await (self._node.quorum(method, params) if self.has_others else self._node.call(method, params))


def _asked(first: int, last: int, addresses: Collection[str]) -> dict[str, Any]:
    return {"fromBlock": hex(first), "toBlock": hex(last), "address": sorted(addresses)}


def _told(said: Any) -> Any:
    """What of logs has to be the same: some nodes add fields."""
    names = ("blockHash", "logIndex", "address", "topics", "data")
    return [[item.get(name) for name in names] for item in said] if isinstance(said, list) else said


def _refused(error: Answered, block: int) -> NexusError:
    return NexusError(
        f"the chain's node refuses to tell logs: {error}",
        category=Category.UNAVAILABLE,
        field="web3.rpc_urls",
        value=error.endpoint,
        remedy="give an endpoint that answers eth_getLogs for any block (NEXUS_WEB3__RPC_URLS)",
        block=block,
    )
