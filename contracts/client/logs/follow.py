"""Following a chain: each log once, orphaned ones retracted, however the chain reorganises and whoever is killed.

One commit of the journal holds new logs, retractions and the position together. The position is a block by height and
name, with names of blocks below it: when a name is no longer the chain's, the newest one that still is tells where to go
on from, and known logs whose block is gone are retracted. What is read again is compared with what is known, so reading
twice, or from too far below, changes nothing.

Belongs here: where reading goes on, what is new, what is retracted. Does not belong here: asking nodes (section.py), the
lake (journal.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from contracts.client.logs.reader import Reader
from contracts.client.logs.section import Section, read
from contracts.client.logs.state import Contract, Followed, Journal, State, thinned
from contracts.client.logs.values import Header, Inconsistent, Key, Log, Point, TooMuch
from contracts.client.rpc.errors import Answered, Indeterminate
from nexus.errors import Category, NexusError

REST_BLOCKS = 5_000
"""Blocks without a log of ours after which the position is written down all the same."""
_TRIES = 6
_PAUSE_S = 0.1


class Follower:
    """Reads one chain into one journal.

    Args:
        reader: Of the chain.
        journal: What was read so far.
        contracts: Whose logs are read.
        pause_s: Before what did not fit together is asked again; it doubles.
    """

    def __init__(
        self, reader: Reader, journal: Journal, contracts: Iterable[Contract], *, pause_s: float = _PAUSE_S
    ) -> None:
        self._reader, self._journal = reader, journal
        self._pause_s = pause_s
        self._contracts = {contract.address: contract for contract in contracts}
        # A development chain has one node: what it does not have is gone, not late.
        self._is_alone = reader.chain.is_embedded_kind
        self._saved: State | None = None

    async def follow(self) -> Followed:
        """Read up to the newest block.

        Raises:
            NexusError: ``unavailable`` when nodes do not answer, or not consistently; what was committed stays.
                ``conflict`` when a public chain has another first block than before.
        """
        done = Followed()
        failed = 0
        while True:
            commits = done.commits
            try:
                await self._once(done)
            except (Inconsistent, Indeterminate, Answered) as error:
                failed = 1 if done.commits > commits else failed + 1
                done.tries += 1
                if failed >= _TRIES:
                    raise _unavailable(error) from error
            except NexusError as error:
                if error.category is not Category.CONFLICT or error.field != "follows":
                    raise
                done.tries += 1
            else:
                return done
            await asyncio.sleep(self._pause_s * 2**failed)

    async def _once(self, done: Followed) -> None:
        self._saved = self._journal.state()
        life = await self._reader.genesis()
        head = await self._reader.head()
        done.head, done.is_behind = head.number, False
        final = await self._reader.final(head.number)
        state = await self._begun(life, done)
        state = await self._standing(state, head.number, done)
        state = replace(await self._with_new_contracts(state), final=max(final, -1))
        known = self._journal.live(life, state.at.number)
        while state.at.number < head.number:
            to = min(state.at.number + self._reader.span, head.number)
            try:
                section = await read(self._reader, state.at, to, self._contracts)
            except TooMuch:
                await asyncio.sleep(self._pause_s)
                continue
            done.unproven += section.unproven
            done.omitted += section.omitted
            state = self._kept(state, section, known, done)
        if self._is_worth_keeping(state):
            self._commit(state, (), (), "", done)
        done.state = state

    async def _begun(self, life: str, done: Followed) -> State:
        """The position; that of a new life where the chain has another first block."""
        saved = self._saved
        if saved is not None and saved.life == life:
            return saved
        if saved is not None:
            if not self._is_alone:
                raise _another_chain(saved.life, life)
            done.previous_life = saved.life
        first = min((contract.first_block for contract in self._contracts.values()), default=0)
        point = await self._reader.point(max(first - 1, 0))
        return State(life, point, (point,), self._names(), floor=point.number, final=-1)

    async def _standing(self, state: State, head: int, done: Followed) -> State:
        """The same position while the chain has its block; else one that both branches have, with orphans retracted."""
        found = await self._reader.blocks([point.number for point in state.anchors])
        if found[0] is not None and found[0].hash == state.at.hash:
            return state
        pairs = list(zip(state.anchors, found, strict=True))
        if any(block is None and point.number <= head for point, block in pairs):
            raise Inconsistent("an endpoint does not have blocks below the newest")
        other = [block for point, block in pairs if block is not None and block.hash != point.hash and point.number]
        if not other and not self._is_alone:
            done.is_behind = True
            return state
        for block in other[-1:]:
            await self._reader.confirm(block)
        shared = [point for point, block in pairs if block is not None and block.hash == point.hash]
        base = shared[0] if shared else await self._reader.point(min(state.floor, head))
        gone = await self._orphans(state.life, base, head)
        anchors = tuple(shared) or (base,)
        moved = replace(state, at=base, anchors=anchors, floor=min(state.floor, base.number))
        self._commit(moved, (), gone, "its block is no longer part of the chain", done)
        # The oldest block of another name and the newest of the same one enclose the fork.
        done.forks.append(
            {
                "above_block": base.number,
                "depth": state.at.number - base.number,
                "is_below_final": base.number < state.final + (not shared),
                "is_below_all": not shared,
                "orphaned": len(gone),
            }
        )
        return moved

    async def _orphans(self, life: str, base: Point, head: int) -> list[Log]:
        """Known logs above a block whose own block is not the chain's."""
        live = self._journal.live(life, base.number)
        numbers = sorted({log.block_number for log in live.values() if log.block_number <= head})
        found = await self._reader.blocks(numbers)
        names = {block.number: block.hash for block in found if block is not None}
        if len(names) < len(numbers):
            raise Inconsistent("an endpoint does not have blocks below the newest")
        return [log for log in live.values() if names.get(log.block_number) != log.block_hash]

    async def _with_new_contracts(self, state: State) -> State:
        """The position from which the logs of contracts that were not read so far are complete."""
        new = [contract for address, contract in self._contracts.items() if address not in state.contracts]
        first = max(min((contract.first_block for contract in new), default=0) - 1, 0)
        state = replace(state, contracts={**state.contracts, **self._names()})
        if not new or first >= state.at.number:
            return state
        point = await self._reader.point(first)
        below = tuple(anchor for anchor in state.anchors if anchor.number < first)
        return replace(state, at=point, anchors=(point, *below), floor=min(state.floor, first))

    def _kept(self, state: State, section: Section, known: dict[Key, Log], done: Followed) -> State:
        """The position after a section; what is new or gone in it is committed with it."""
        end, fresh = section.end, {log.key: log for log in section.logs}
        here = {
            key: log
            for key, log in known.items()
            if state.at.number < log.block_number <= end.number and log.address in self._contracts
        }
        new = [(log, section.headers[log.block_number]) for key, log in fresh.items() if key not in here]
        gone = [log for key, log in here.items() if key not in fresh]
        last_log = max([state.last_log, *(log.block_number for log in section.logs)])
        points = [Point(number, block.hash) for number, block in section.headers.items()]
        moved = replace(state, at=end, anchors=thinned(end, points, state.anchors), last_log=last_log)
        if new or gone:
            self._commit(moved, new, gone, "the chain has no such log", done)
        elif self._saved is not None and end.number - self._saved.at.number >= REST_BLOCKS:
            self._commit(moved, (), (), "", done)
        return moved

    def _is_worth_keeping(self, state: State) -> bool:
        """Whether a position without news says more than the last one: a life, contracts, logs that are final now."""
        saved = self._saved
        if saved is None or (saved.life, saved.contracts) != (state.life, state.contracts):
            return True
        return saved.final < state.last_log <= state.final

    def _commit(
        self, state: State, new: Sequence[tuple[Log, Header]], gone: Sequence[Log], reason: str, done: Followed
    ) -> None:
        self._journal.commit(state, new, gone, reason)
        self._saved = state
        done.state = state
        done.rows += len(new)
        done.orphaned += len(gone)
        done.commits += 1

    def _names(self) -> dict[str, str]:
        return {address: contract.name for address, contract in self._contracts.items()}


def _unavailable(error: Exception) -> NexusError:
    return NexusError(
        f"the chain cannot be read: {error}",
        category=Category.UNAVAILABLE,
        field="web3.rpc_urls",
        value=getattr(error, "endpoint", None) or None,
        remedy="the next run goes on where this one ended; see bin/nexus status, or give another endpoint",
    )


def _another_chain(before: str, now: str) -> NexusError:
    return NexusError(
        "the endpoint's chain begins with another block than the one that was read so far",
        category=Category.CONFLICT,
        field="web3.rpc_urls",
        value=now,
        remedy="give an endpoint of the chain in web3.chain; a public chain is never begun anew",
        expected=before,
    )
