"""The platform's chain as a source of the lake: which contracts, from which block, what waits, and the load.

Belongs here: settings, Postgres and lake put together. Does not belong here: reading (follow.py), assets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.client.chains import Chain, chain_of
from contracts.client.logs.follow import Follower
from contracts.client.logs.journal import LakeJournal
from contracts.client.logs.reader import MAX_SPAN, Reader
from contracts.client.logs.state import Contract, Followed, State
from contracts.client.logs.values import Inconsistent, TooMuch, quantity
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.pool import Rpc
from nexus.db.pool import connect
from nexus.errors import Category, NexusError, invalid
from nexus.lake.lake import Lake
from nexus.settings import Settings

MEDIA = "NexusMedia"
_BEFORE_DEPLOYMENT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the next load would do; ``what`` is None when nothing waits.

    Attributes:
        what: For a person.
        key: Equal for the same news.
    """

    what: str | None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A contract as it is recorded; ``deployed_at`` is None where that is not known."""

    name: str
    address: str
    deployed_at: datetime | None


def load(settings: Settings, lake: Lake) -> Followed:
    """Append what is new on the platform's chain, retract what is gone.

    Raises:
        NexusError: as :meth:`Follower.follow`; ``unavailable`` without an address of the chain.
    """
    return asyncio.run(_load(settings, lake))


def waiting(settings: Settings, lake: Lake) -> Waiting:
    """Whether a load has something to do, by one look at the chain; changes nothing.

    Raises:
        NexusError: ``unavailable``: the chain cannot be asked.
    """
    return asyncio.run(_waiting(settings, lake))


def recorded(settings: Settings, chain: Chain) -> list[Known]:
    """The contracts in use: those in Postgres, and the one that the settings name."""
    with connect(settings, "pipeline") as connection:
        rows = connection.execute(
            "select name, address, deployed_at from nexus_web3.contracts where chain_id = %s order by name",
            (chain.chain_id,),
        ).fetchall()
    found = {name: Known(name, address.lower(), at) for name, address, at in rows}
    own = (settings.web3.media_contract or "").lower()
    if own and (MEDIA not in found or found[MEDIA].address != own):
        found[MEDIA] = Known(MEDIA, own, None)
    return list(found.values())


async def _load(settings: Settings, lake: Lake) -> Followed:
    async with Rpc.of(settings) as rpc:
        reader = Reader(rpc)
        journal = LakeJournal(lake, reader.chain.chain_id)
        state, known = journal.state(), recorded(settings, reader.chain)
        if state is None and not known:
            return Followed()
        before = state.contracts if state is not None else {}
        contracts = await first_blocks(settings, reader, known, read_already=before)
        # A contract that another one took the place of still has owners who pass its tokens on.
        in_use = {contract.address for contract in contracts}
        contracts += [Contract(name, address) for address, name in before.items() if address not in in_use]
        return await Follower(reader, journal, contracts).follow()


async def _waiting(settings: Settings, lake: Lake) -> Waiting:
    chain = chain_of(settings)
    known = recorded(settings, chain)
    state = LakeJournal(lake, chain.chain_id).state()
    if state is None:
        return Waiting("the chain was never read", "never") if known else Waiting(None)
    added = [contract.name for contract in known if contract.address not in state.contracts]
    if added:
        return Waiting(f"contracts were added: {', '.join(added)}", f"{state.at.hash}:{','.join(added)}")
    async with Rpc.of(settings) as rpc:
        try:
            return await news(Reader(rpc), state)
        except (Inconsistent, Indeterminate, Answered) as error:
            raise NexusError(
                f"the chain cannot be asked: {error}",
                category=Category.UNAVAILABLE,
                field="web3.rpc_urls",
                remedy="see bin/nexus status",
            ) from error


async def news(reader: Reader, state: State) -> Waiting:
    """What happened on the chain since a position."""
    if await reader.genesis() != state.life:
        return Waiting("the chain began anew", f"{state.life}:anew")
    head = await reader.head()
    if head.number > state.at.number + MAX_SPAN:
        return Waiting(f"{head.number - state.at.number} blocks were not read yet", f"{state.at.hash}:behind")
    (block,) = await reader.blocks([state.at.number])
    if block is None and not reader.chain.is_embedded_kind:
        return Waiting(None)
    if block is None or block.hash != state.at.hash:
        return Waiting("blocks that were read are no longer the chain's", f"{state.at.hash}:fork")
    if head.number > state.at.number and state.contracts:
        try:
            found = await reader.logs(state.at.number + 1, head.number, state.contracts)
        except TooMuch:
            return Waiting(f"{head.number - state.at.number} blocks were not read yet", f"{state.at.hash}:behind")
        if found:
            return Waiting(f"{len(found)} logs wait", f"{state.at.hash}:{found[-1].block_hash}")
    if state.final < state.last_log <= await reader.final(head.number):
        return Waiting("logs became final", f"{state.at.hash}:final")
    return Waiting(None)


async def first_blocks(
    settings: Settings, reader: Reader, known: Sequence[Known], *, read_already: Collection[str] = ()
) -> list[Contract]:
    """The contracts with the block from which each is read; of those that are read already it does not matter.

    Raises:
        NexusError: ``invalid`` when that can only be known by a person; ``unavailable``.
    """
    given = settings.web3.logs_from_block
    if given is not None or reader.chain.is_embedded_kind:
        return [Contract(one.name, one.address, given or 0) for one in known]
    found: list[Contract] = []
    for one in known:
        if one.address in read_already:
            found.append(Contract(one.name, one.address))
            continue
        if one.deployed_at is None:
            raise invalid(
                f"nobody recorded when {one.name} was deployed",
                field="web3.logs_from_block",
                value=None,
                remedy="set NEXUS_WEB3__LOGS_FROM_BLOCK to the block of its deployment, or one before it",
            )
        found.append(Contract(one.name, one.address, await block_at(reader, one.deployed_at - _BEFORE_DEPLOYMENT)))
    return found


async def block_at(reader: Reader, moment: datetime) -> int:
    """The first block that was made at a moment or later; the newest when none was."""
    try:
        low, high = 0, (await reader.head()).number
        while low < high:
            middle = (low + high) // 2
            (block,) = await reader.blocks([middle])
            is_late = block is None or quantity(block.time) >= moment.timestamp()
            low, high = (low, middle) if is_late else (middle + 1, high)
    except (Inconsistent, Indeterminate, Answered) as error:
        raise NexusError(
            f"the block of a deployment cannot be found: {error}",
            category=Category.UNAVAILABLE,
            field="web3.logs_from_block",
            remedy="try again, or set NEXUS_WEB3__LOGS_FROM_BLOCK",
        ) from error
    return low
