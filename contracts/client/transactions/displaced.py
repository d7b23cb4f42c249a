"""Nonces that somebody else used: another program with the same key, or ourselves before a database was restored.

Belongs here: finding the transaction that used a nonce, and what becomes of the row that wanted it. Nothing is decided on
a missing receipt: the foreign transaction has to be shown, in a final block. Does not belong here: ordinary life of a row.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from psycopg import AsyncConnection, Rollback

from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.transactions import reverts
from contracts.client.transactions.desk import Desk, Held
from contracts.client.transactions.view import Head, Taker
from nexus.db import attempts as attempts_db
from nexus.db import lanes as lanes_db
from nexus.db import transactions as rows_db
from nexus.db.attempts import Attempt
from nexus.db.pool import acquire
from nexus.db.transactions import Move

MOST_AT_ONCE = 16
log = logging.getLogger(__name__)


async def resolve(desk: Desk, silent: Sequence[Held], head: Head) -> int:
    """Rows whose nonce is used and that have no receipt: look for who used it; how many were resolved."""
    if not silent or head.final < 0:
        return 0
    counts = await desk.view.counts({held.slot[0] for held in silent}, head.final)
    settled = [held for held in silent if held.slot[1] < counts.get(held.slot[0], 0)]
    resolved = 0
    for held in settled[:MOST_AT_ONCE]:
        taker = await desk.view.taker(*held.slot, head.final)
        if taker is not None and await _resolve(desk, held, taker):
            resolved += 1
    return resolved


async def _resolve(desk: Desk, held: Held, taker: Taker) -> bool:
    if any(one.hash == taker.receipt.tx_hash for one in held.attempts):
        return False  # ours after all; its receipt will come
    if _is_same_call(held, taker):
        return await _adopt(desk, held, taker)
    log.warning("nonce.foreign", extra={"signer": held.slot[0], "nonce": held.slot[1], "hash": taker.receipt.tx_hash})
    if held.row.kind == "fill":
        return await _end(desk, held, taker, "cancelled", "another program used this nonce")
    if held.row.is_cancelling:
        return await _end(desk, held, taker, "cancelled", held.row.reason or "another program used its nonce")
    return await _renumber(desk, held, taker)


def _is_same_call(held: Held, taker: Taker) -> bool:
    """Whether the transaction does what the row wants: then it is ours, from before a database was restored."""
    row = held.row
    return (taker.to, taker.data, taker.value) == (row.to_address, row.data, row.value_wei)


async def _adopt(desk: Desk, held: Held, taker: Taker) -> bool:
    signer, nonce = held.slot
    receipt = taker.receipt
    attempt = Attempt(
        held.row.id, signer, nonce, len(held.attempts), "adopted", receipt.tx_hash, None, 0, 0, receipt.block_number
    )
    move = Move(held.row.id, held.row.revision, "sent", reason="it was sent before the database was restored")
    async with acquire(desk.pool) as connection, connection.transaction():
        await attempts_db.store(connection, desk.chain.chain_id, [attempt])
        return bool(await rows_db.move(connection, [move]))


async def _end(desk: Desk, held: Held, taker: Taker, state: Literal["failed", "cancelled"], reason: str) -> bool:
    """End a row without a nonce; the foreign transaction takes its place."""
    signer, nonce = held.slot
    async with acquire(desk.pool) as connection, connection.transaction():
        await lanes_db.locked(connection, desk.chain.chain_id, [signer])
        if not await rows_db.end_without_nonce(connection, held.row, state, reason):
            return False
        await _note_foreign(desk, connection, held, taker, nonce)
    return True


async def _renumber(desk: Desk, held: Held, taker: Taker) -> bool:
    """A new nonce, unless the call is refused by now."""
    row, (signer, nonce) = held.row, held.slot
    call = {"from": signer, "to": row.to_address, "data": "0x" + row.data.hex(), "value": hex(row.value_wei)}
    try:
        await desk.rpc.call("eth_call", [call, "latest"])
    except Answered as error:
        if not reverts.is_revert(error):
            return False
        name = reverts.reverted(error).name
        return await _end(
            desk, held, taker, "failed", f"another program used its nonce, and the contract refuses it now: {name}"
        )
    except Indeterminate:
        return False
    reason = f"another program used nonce {nonce} of this signer; it has a new one"
    async with acquire(desk.pool) as connection, connection.transaction() as change:
        await lanes_db.locked(connection, desk.chain.chain_id, [signer])
        fresh = await lanes_db.taken(connection, desk.chain.chain_id, signer, 1)
        if not await rows_db.renumber(connection, row, signer, fresh, reason):
            raise Rollback(change)  # somebody was faster: the new nonce goes back too
        await _note_foreign(desk, connection, held, taker, nonce)
        return True
    return False


async def _note_foreign(desk: Desk, connection: AsyncConnection, held: Held, taker: Taker, nonce: int) -> None:
    await rows_db.insert_foreign(
        connection, desk.chain.chain_id, held.row.role, held.slot[0], [nonce], taker.receipt.tx_hash
    )
