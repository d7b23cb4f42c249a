"""From a reserved nonce to signed bytes that are stored.

Belongs here: building and signing payloads, the first ones, dearer ones and cancellations. Does not belong here: sending
them (sending.py). Nothing that was signed leaves this module before it is in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.client.transactions.desk import Desk, Held, after, moved
from contracts.client.transactions.fees import Fees
from nexus.db import attempts as attempts_db
from nexus.db import transactions as rows_db
from nexus.db.attempts import Attempt, AttemptKind
from nexus.db.pool import acquire
from nexus.db.transactions import Move
from nexus.errors import NexusError

SELF_SEND_GAS = 21_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """A payload to be signed for a row."""

    held: Held
    kind: AttemptKind
    fees: Fees
    reason: str | None = None


def kind_of(held: Held) -> AttemptKind:
    """What the next payload of a row is."""
    if held.row.kind == "fill":
        return "fill"
    return "cancel" if held.row.is_cancelling else "intent"


async def sign_and_store(desk: Desk, orders: Sequence[Order], head: int) -> list[Held]:
    """Sign payloads and store them, with their rows, in one database transaction.

    A signer that does not answer leaves its rows as they are, and a note in the log; the other lanes go on.

    Returns:
        The rows whose payload is stored now.
    """
    made: list[tuple[Order, Attempt]] = []
    for signer, mine in _by_signer(orders).items():
        txs = [_payload(desk, order) for order in mine]
        try:
            signed = await desk.signers.signer(signer).sign_many(txs)
        except NexusError as error:
            log.warning("signer.silent", extra={"signer": signer, "rows": len(mine), "reason": str(error)})
            await _tell(desk, mine, str(error))
            continue
        made += [(order, _attempt(order, one.hash, one.raw, head)) for order, one in zip(mine, signed, strict=True)]
    return await _store(desk, made)


async def _store(desk: Desk, made: Sequence[tuple[Order, Attempt]]) -> list[Held]:
    if not made:
        return []
    moves = [_move(order) for order, _ in made]
    async with acquire(desk.pool) as connection, connection.transaction():
        new = await attempts_db.store(connection, desk.chain.chain_id, [attempt for _, attempt in made])
        changed = await rows_db.move(connection, moves)
    kept: list[Held] = []
    for (order, attempt), move in zip(made, moves, strict=True):
        row = order.held.row
        if attempt.hash in new and row.id in changed:
            kept.append(Held(after(row, move), [*order.held.attempts, attempt]))
    return kept


async def _tell(desk: Desk, orders: Sequence[Order], reason: str) -> None:
    rows = [order.held.row for order in orders if order.held.row.reason != reason]
    async with acquire(desk.pool) as connection:
        await rows_db.move(connection, [moved(row, row.state, reason) for row in rows])


def _by_signer(orders: Sequence[Order]) -> Mapping[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.held.slot[0], []).append(order)
    return found


def _payload(desk: Desk, order: Order) -> dict[str, Any]:
    """The fields of a transaction; a cancellation sends nothing to the signer itself."""
    row, (signer, nonce) = order.held.row, order.held.slot
    is_call = order.kind == "intent"
    return {
        "chainId": desk.chain.chain_id,
        "nonce": nonce,
        "maxPriorityFeePerGas": order.fees.tip_wei,
        "maxFeePerGas": order.fees.max_fee_wei,
        "gas": row.gas_limit if is_call else SELF_SEND_GAS,
        "to": row.to_address if is_call else signer,
        "value": row.value_wei if is_call else 0,
        "data": row.data if is_call else b"",
    }


def _attempt(order: Order, tx_hash: str, raw: bytes, head: int) -> Attempt:
    signer, nonce = order.held.slot
    fees, number = order.fees, len(order.held.attempts)
    return Attempt(
        order.held.row.id, signer, nonce, number, order.kind, tx_hash, raw, fees.max_fee_wei, fees.tip_wei, head
    )


def _move(order: Order) -> Move:
    row = order.held.row
    reason = order.reason or (row.reason if row.is_cancelling else None)
    return moved(row, "signed" if row.state == "reserved" else row.state, reason)
