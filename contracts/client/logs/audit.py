"""Comparing the table of tokens with the chain itself: owners, balances and transfers at one block.

Belongs here: what is asked, what differs. Does not belong here: the table, Dagster's checks.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.client.artifacts import Artifact
from contracts.client.artifacts import load as artifact
from contracts.client.logs.reader import Node, Reader
from contracts.client.logs.source import MEDIA, news
from contracts.client.logs.state import State
from contracts.client.logs.values import Inconsistent, Point, TooMuch
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.pool import Rpc
from nexus.errors import Category, NexusError
from nexus.settings import Settings

MOST_TOKENS = 2_000
"""Most tokens whose owners are asked for; of more a sample."""
MOST_BLOCKS = 20_000
"""Most blocks whose transfers are counted again."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the table says of one contract.

    Attributes:
        address: The contract.
        owners: Token -> owner; None: burnt.
        transfers: How many transfers there were up to each block.
    """

    address: str
    owners: Mapping[int, str | None]
    transfers: Mapping[int, int]


@dataclass
class Audit:
    """What was compared and what differs.

    Attributes:
        block: The block at which the chain was asked.
        tokens: Tokens whose owners were asked for.
        owners: Owners whose balances were asked for.
        transfers: Transfers that were counted again; None: too many blocks.
        differing: What the table says and what the chain says.
    """

    block: int
    tokens: int = 0
    owners: int = 0
    transfers: int | None = None
    differing: list[dict[str, Any]] = field(default_factory=list)


def audit(settings: Settings, tokens: Tokens, state: State) -> Audit:
    """Compare a table with the chain at the block up to which it was read, or at the newest one if nothing came since.

    Raises:
        NexusError: ``unavailable``: the chain cannot be asked, or not at that block.
    """
    return asyncio.run(_audit(settings, tokens, state))


async def _audit(settings: Settings, tokens: Tokens, state: State) -> Audit:
    async with Rpc.of(settings) as rpc:
        try:
            return await compared(rpc, tokens, state)
        except (Inconsistent, Indeterminate, Answered) as error:
            raise NexusError(
                f"the chain cannot be compared: {error}",
                category=Category.UNAVAILABLE,
                field="web3.rpc_urls",
                remedy="try again; an endpoint that keeps no old states can only be asked right after a load",
            ) from error


async def compared(node: Node, tokens: Tokens, state: State) -> Audit:
    """The comparison.

    Raises:
        Inconsistent: The block that was read is no longer the chain's.
        Indeterminate: No endpoint answers.
        Answered: A node refuses.
    """
    reader, media = Reader(node), artifact(MEDIA)
    at = await _block(reader, state)
    done = Audit(at.number)
    chosen = sorted(tokens.owners)
    if len(chosen) > MOST_TOKENS:
        chosen = random.Random(at.hash).sample(chosen, MOST_TOKENS)  # noqa: S311 - a sample, no secret
    owners = await _asked(node, tokens, media, "ownerOf(uint256)", chosen, at)
    done.tokens = len(chosen)
    for token, said in zip(chosen, owners, strict=True):
        expected = tokens.owners[token]
        if said != expected:
            done.differing.append({"token_id": str(token), "table": expected, "chain": said})
    held = Counter(owner for owner in tokens.owners.values() if owner is not None)
    balances = await _asked(node, tokens, media, "balanceOf(address)", sorted(held), at)
    done.owners = len(held)
    for owner, balance in zip(sorted(held), balances, strict=True):
        if balance != held[owner]:
            done.differing.append({"owner": owner, "table": held[owner], "chain": balance})
    await _count_transfers(reader, tokens, state, at, done)
    return done


async def _block(reader: Reader, state: State) -> Point:
    """Where to compare: the newest block when nothing of ours came since, so that a node without old states can answer."""
    head = await reader.head()
    if (await news(reader, state)).key in {"", f"{state.at.hash}:final"} and head.number >= state.at.number:
        return Point(head.number, head.hash)
    (block,) = await reader.blocks([state.at.number])
    if block is None or block.hash != state.at.hash:
        raise Inconsistent("the last block that was read is no longer the chain's")
    return state.at


async def _asked(
    node: Node, tokens: Tokens, media: Artifact, signature: str, arguments: Sequence[Any], at: Point
) -> list[Any]:
    """What the contract answers to each argument at a block; None where it reverts."""
    where = {"blockHash": at.hash}
    questions = [
        ("eth_call", ({"to": tokens.address, "data": "0x" + media.call(signature, argument).hex()}, where))
        for argument in arguments
    ]
    found: list[Any] = []
    for said in await node.batch(questions):
        if isinstance(said, Answered) and said.data is not None:  # a revert carries its reason
            found.append(None)
        elif isinstance(said, Exception):
            raise said
        else:
            answer = media.answer(signature, bytes.fromhex(said[2:]))
            found.append(answer.lower() if isinstance(answer, str) else answer)
    return found


async def _count_transfers(reader: Reader, tokens: Tokens, state: State, at: Point, done: Audit) -> None:
    if at.number - state.floor > MOST_BLOCKS:
        return
    topic = artifact(MEDIA).topic("Transfer")
    on_chain, block = 0, state.floor
    while block < at.number:
        last = min(block + reader.span, at.number)
        try:
            found = await reader.logs(block + 1, last, (tokens.address,))
        except TooMuch:
            continue
        on_chain += sum(log.topics[:1] == (topic,) for log in found)
        block = last
    in_table = sum(count for number, count in tokens.transfers.items() if number <= at.number)
    done.transfers = on_chain
    if on_chain != in_table:
        done.differing.append({"transfers": in_table, "chain": on_chain})
