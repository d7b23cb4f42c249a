"""The transaction manager: each intent happens exactly once, or is clearly refused.

Belongs here: its face, who may call what in which order. Does not belong here: the steps; in the order of a transaction's
life they are beginning.py and submitting.py (simulate, price, reserve), signing.py (sign, store), sending.py (send, raise, cancel),
watching.py (mined, orphaned, final), displaced.py (nonces that others used), mending.py (counters, gaps, sweep).

All state is in Postgres, so any number of processes may run managers of the same chain, and each may die at any line:
nonces are given out under the row lock of their lane, of two payloads signed for one place one is stored, and every change
of a row names the revision that it was decided on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from contracts.client.chains import Chain
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.pool import Rpc
from contracts.client.signers.model import Signers
from contracts.client.transactions import beginning, mending, stepping, submitting
from contracts.client.transactions.desk import Desk, Patience
from contracts.client.transactions.keeping import LaneKeeping
from contracts.client.transactions.model import ENDED, Intent, Mended, Transaction, conflicting
from contracts.client.transactions.view import View
from nexus.db import attempts as attempts_db
from nexus.db import transactions as rows_db
from nexus.db.pool import AsyncPool, acquire
from nexus.db.transactions import Row
from nexus.errors import Category, NexusError, not_found

_TRIES = 8
_LONGEST_PAUSE_S = 30.0


class Transactions(LaneKeeping):
    """The transactions of one chain.

    Args:
        pool: Postgres, role worker; open.
        rpc: The chain's endpoints.
        chain: Its rules.
        signers: Where the keys are.
        patience: How long to wait for what; None: fitting the chain.
    """

    def __init__(
        self, pool: AsyncPool, rpc: Rpc, chain: Chain, signers: Signers, *, patience: Patience | None = None
    ) -> None:
        super().__init__(Desk(pool, rpc, chain, signers, View(rpc, chain), patience or Patience.of(chain)))
        self._turn = asyncio.Lock()
        self._looked_at = float("-inf")

    async def submit(self, intent: Intent) -> Transaction:
        """Have a call made exactly once. The same key again is answered with the same transaction.

        Raises:
            NexusError: ``invalid`` input; ``conflict`` for another payload under the key; :class:`Reverted` when the
                contract refuses the call; :class:`NotFunded`; ``unavailable`` when chain or database do not answer.
                After any of them nothing was sent and the same call may be made again.
        """
        (outcome,) = await self.submit_many([intent])
        if isinstance(outcome, NexusError):
            raise outcome
        return outcome

    async def submit_many(self, intents: Sequence[Intent]) -> list[Transaction | NexusError]:
        """Many calls with few round trips; one outcome per intent, in their order. One that is refused stops no other."""
        outcomes: dict[int, Row | NexusError] = {}
        fresh: dict[str, Intent] = {}
        checked = [_checked(intent) for intent in intents]
        good = [one for one in checked if isinstance(one, Intent)]
        async with acquire(self._desk.pool) as connection:
            known = await rows_db.by_keys(connection, self._desk.chain.chain_id, [one.key for one in good])
        for place, one in enumerate(checked):
            if isinstance(one, NexusError):
                outcomes[place] = one
            elif one.key in fresh and fresh[one.key] != one:
                outcomes[place] = conflicting(one.key)
            elif one.key not in known:
                fresh[one.key] = one
        reserved = await beginning.begin(self._desk, list(fresh.values())) if fresh else {}
        for place, one in enumerate(checked):
            if place not in outcomes and isinstance(one, Intent):
                found = known.get(one.key) or reserved[one.key]
                clash = None if isinstance(found, NexusError) else submitting.checked_against(one, found)
                outcomes[place] = clash or found
        return await self._shown([outcomes[place] for place in range(len(intents))])

    async def _shown(self, outcomes: Sequence[Row | NexusError]) -> list[Transaction | NexusError]:
        """Rows as they are now, with the hashes of their payloads."""
        rows = [one for one in outcomes if not isinstance(one, NexusError)]
        if not rows:
            return [one for one in outcomes if isinstance(one, NexusError)]
        async with acquire(self._desk.pool) as connection:
            fresh = await rows_db.by_keys(connection, self._desk.chain.chain_id, [row.key for row in rows])
            attempts = await attempts_db.of_rows(connection, [row.id for row in rows])
        return [
            one
            if isinstance(one, NexusError)
            else Transaction.of(fresh[one.key], [attempt.hash for attempt in attempts.get(one.id, [])])
            for one in outcomes
        ]

    async def look(self, key: str) -> Transaction | None:
        """Where a transaction stands, from the database alone; None for a key that was never submitted."""
        async with acquire(self._desk.pool) as connection:
            found = await rows_db.by_keys(connection, self._desk.chain.chain_id, [key])
            attempts = await attempts_db.of_rows(connection, [row.id for row in found.values()])
        for row in found.values():
            return Transaction.of(row, [attempt.hash for attempt in attempts.get(row.id, [])])
        return None

    async def _known(self, key: str) -> Transaction:
        found = await self.look(key)
        if found is None:
            raise _no_transaction(key)
        return found

    async def step(self, key: str) -> Transaction:
        """Take one transaction as far as it goes now.

        Raises:
            NexusError: ``not_found``; ``unavailable`` when the chain does not answer.
        """
        row = await self._row(key)
        if row.state not in ENDED:
            await self._stepped([row])
        return await self._known(key)

    async def _stepped(self, rows: Sequence[Row]) -> None:
        try:
            await stepping.step(self._desk, rows)
        except (Indeterminate, Answered) as error:
            raise submitting.away(str(error)) from None

    async def advance(self) -> int:
        """Take every unfinished transaction of the chain as far as it goes now; how many there were.

        Raises:
            NexusError: category ``unavailable`` when chain or database do not answer.
        """
        try:
            return await stepping.step_all(self._desk)
        except (Indeterminate, Answered) as error:
            raise submitting.away(str(error)) from None

    async def cancel(self, key: str) -> Transaction:
        """Use a transaction's nonce up by a self-send that pays more. The original may still win: the end says which did.

        Raises:
            NexusError: category ``not_found`` for a key that was never submitted.
        """
        for _ in range(_TRIES):
            row = await self._row(key)
            if row.state in ENDED or row.is_cancelling:
                break
            async with acquire(self._desk.pool) as connection:
                if await rows_db.set_cancelling(connection, row):
                    break
        try:
            return await self.step(key)
        except NexusError as error:
            if error.category is not Category.UNAVAILABLE:
                raise
        return await self._known(key)

    async def close(self, intent: Intent) -> Transaction:
        """Take a call back whether or not it was submitted: a key that was not can't be submitted any more.

        Raises:
            NexusError: ``invalid`` input; ``conflict`` for another payload under the key; as :meth:`cancel` does.
        """
        one = intent.checked()
        async with acquire(self._desk.pool) as connection:
            await rows_db.insert_closed(
                connection,
                self._desk.chain.chain_id,
                one.key,
                one.role,
                one.to,
                one.data,
                one.value,
                one.payload_hash(),
            )
        clash = submitting.checked_against(one, await self._row(one.key))
        if clash is not None:
            raise clash
        return await self.cancel(one.key)

    async def until_final(self, key: str, tell: Callable[[Transaction], object] | None = None) -> Transaction:
        """Follow a transaction to its end: final, failed or cancelled. A chain that is away is waited for, however long.

        Args:
            key: Its idempotency key.
            tell: Called with where it stands at each look.

        Raises:
            NexusError: category ``not_found`` for a key that was never submitted.
        """
        failures = 0
        while True:
            try:
                found = await self._known(key)
                if tell is not None:
                    tell(found)
                if found.is_ended:
                    return found
                await self._look_together()
                failures = 0
            except NexusError as error:
                if not error.retryable:
                    raise
                failures += 1
            pause_s = min(_LONGEST_PAUSE_S, self._desk.patience.poll_s * 2 ** min(failures, 8))
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.0))  # noqa: S311 - spreads, protects nothing

    async def _look_together(self) -> None:
        """One look at the chain serves everybody in this process who waits."""
        asked_at = time.monotonic()
        async with self._turn:
            if self._looked_at >= asked_at:
                return
            began = time.monotonic()
            await self.advance()
            self._looked_at = began

    async def mend(self) -> Mended:
        """Put lanes and finished transactions right, then take everything as far as it goes. Safe at any time.

        Raises:
            NexusError: category ``unavailable`` when chain or database do not answer.
        """
        mended = Mended()
        try:
            head = await self._desk.view.head()
            await mending.mend_lanes(self._desk, head, mended)
            await mending.sweep(self._desk, mended)
        except (Indeterminate, Answered) as error:
            raise submitting.away(str(error)) from None
        await self.advance()
        return mended

    async def _row(self, key: str) -> Row:
        async with acquire(self._desk.pool) as connection:
            found = await rows_db.by_keys(connection, self._desk.chain.chain_id, [key])
        if key not in found:
            raise _no_transaction(key)
        return found[key]


def _checked(intent: Intent) -> Intent | NexusError:
    try:
        return intent.checked()
    except NexusError as error:
        return error


def _no_transaction(key: str) -> NexusError:
    return not_found("no such transaction", field="key", value=key, remedy="submit it first")
