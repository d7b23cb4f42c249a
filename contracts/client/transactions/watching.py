"""Rows whose nonce is used: found in a block, lost to a reorganisation, final.

Belongs here: believing the chain only as far as it proves itself. Mined: the block at the receipt's height has the receipt's
hash and lists the transaction. Final: the same, asked again, at or below the chain's final block; a reverted receipt is
final by the same rule only. Orphaned: that height shows another hash; silence is no proof.
Does not belong here: rows that wait (sending.py), nonces that others used (displaced.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.transactions import reverts
from contracts.client.transactions.desk import Desk, Held, after, moved
from contracts.client.transactions.view import Block, Head, Receipt
from nexus.db import transactions as rows_db
from nexus.db.pool import acquire
from nexus.db.transactions import Move, State

ORPHANED = "its block was orphaned by a reorganisation of the chain; the same bytes are sent again"
TOO_LATE = "it was mined before its cancellation"
log = logging.getLogger(__name__)


async def settle(desk: Desk, used: Sequence[Held], mined: Sequence[Held], head: Head) -> tuple[list[Held], list[Held]]:
    """Look for rows in blocks, and at those that were found before.

    Args:
        desk: What to work with.
        used: Rows whose nonce the chain has used, by whatever transaction.
        mined: Rows that were found in a block that was not final.
        head: The newest block.

    Returns:
        Rows that fell out of the chain and wait again; rows of ``used`` without a receipt of ours.
    """
    receipts = await _receipts(desk, used)
    seen = [(held, receipts[held.row.id]) for held in used if held.row.id in receipts]
    known = [(held, _stored(held)) for held in mined]
    blocks = await _blocks(desk, seen, known, head)
    moves = [move for held, receipt in seen if (move := _found(held, receipt, blocks)) is not None]
    orphaned = [held for held, receipt in known if _is_orphaned(receipt, blocks)]
    moves += [moved(held.row, "sent", ORPHANED) for held in orphaned]
    ending = _ending(seen, known, blocks, head)
    final = {move.id: move for move in await _final(desk, ending)}
    moves = [final.pop(move.id, move) for move in moves] + list(final.values())
    async with acquire(desk.pool) as connection:
        changed = await rows_db.move(connection, moves)
    if orphaned:
        log.info("transactions.orphaned", extra={"rows": len(orphaned), "head": head.number})
    again = [
        Held(after(held.row, moved(held.row, "sent", ORPHANED)), held.attempts)
        for held in orphaned
        if held.row.id in changed
    ]
    return [_untold(held) for held in again], [held for held in used if held.row.id not in receipts]


def _untold(held: Held) -> Held:
    """To be sent again at once."""
    return Held(held.row, [replace(one, told_s=None) for one in held.attempts])


async def _receipts(desk: Desk, used: Sequence[Held]) -> dict[int, Receipt]:
    """Receipt of a row, whichever of its payloads it is for; the newest is asked for first, then the others."""
    newest = await desk.view.receipts([held.attempts[-1].hash for held in used if held.attempts])
    found = {
        held.row.id: newest[held.attempts[-1].hash]
        for held in used
        if held.attempts and held.attempts[-1].hash in newest
    }
    others = [(held.row.id, one.hash) for held in used if held.row.id not in found for one in held.attempts[:-1]]
    older = await desk.view.receipts([one for _, one in others])
    return found | {row: older[one] for row, one in others if one in older}


def _stored(held: Held) -> Receipt:
    row = held.row
    assert row.tx_hash is not None and row.block_number is not None and row.block_hash is not None  # noqa: S101, PT018
    return Receipt(row.tx_hash, row.block_number, row.block_hash, bool(row.is_reverted))


async def _blocks(
    desk: Desk, seen: Sequence[tuple[Held, Receipt]], known: Sequence[tuple[Held, Receipt]], head: Head
) -> dict[int, Block]:
    """The blocks that have to be looked at. A chain changes from its end: while the highest known block stands, so do the others."""
    wanted = {receipt.block_number for _, receipt in seen}
    wanted |= {receipt.block_number for _, receipt in known if receipt.block_number <= head.final}
    highest = max((receipt.block_number for _, receipt in known), default=None)
    if highest is not None:
        wanted.add(highest)
    found = await desk.view.blocks(wanted)
    is_moved = any(receipt.block_number == highest and _is_orphaned(receipt, found) for _, receipt in known)
    if is_moved:
        rest = {receipt.block_number for _, receipt in known} - set(found)
        found |= await desk.view.blocks(rest)
    return found


def _is_orphaned(receipt: Receipt, blocks: dict[int, Block]) -> bool:
    block = blocks.get(receipt.block_number)
    return block is not None and block.hash != receipt.block_hash


def _stands(receipt: Receipt, blocks: dict[int, Block]) -> bool:
    block = blocks.get(receipt.block_number)
    return block is not None and block.hash == receipt.block_hash and receipt.tx_hash in block.transactions


def _found(held: Held, receipt: Receipt, blocks: dict[int, Block]) -> Move | None:
    reason = held.row.reason if held.row.is_cancelling else None
    return _in_block(held, receipt, "mined", reason) if _stands(receipt, blocks) else None


def _in_block(held: Held, receipt: Receipt, state: State, reason: str | None = None) -> Move:
    return Move(
        held.row.id,
        held.row.revision,
        state,
        receipt.tx_hash,
        receipt.block_number,
        receipt.block_hash,
        receipt.is_reverted,
        reason,
    )


def _ending(
    seen: Sequence[tuple[Held, Receipt]], known: Sequence[tuple[Held, Receipt]], blocks: dict[int, Block], head: Head
) -> list[tuple[Held, Receipt]]:
    pairs = [*seen, *known]
    return [(held, one) for held, one in pairs if one.block_number <= head.final and _stands(one, blocks)]


async def _final(desk: Desk, ending: Sequence[tuple[Held, Receipt]]) -> list[Move]:
    """Ask once more, two endpoints where there are two, and end what stands."""
    blocks = await desk.view.agreed_blocks({receipt.block_number for _, receipt in ending})
    is_doubted = len(desk.rpc.health()) > 1
    moves: list[Move] = []
    for held, receipt in ending:
        if not _stands(receipt, blocks):
            continue
        outcome: Receipt | None = receipt
        if is_doubted or receipt.is_reverted:
            outcome = await desk.view.agreed_receipt(receipt.tx_hash)
        if outcome is not None and outcome.tx_hash == receipt.tx_hash and _stands(outcome, blocks):
            moves.append(await _end(desk, held, outcome))
    return moves


async def _end(desk: Desk, held: Held, receipt: Receipt) -> Move:
    kind = next((one.kind for one in held.attempts if one.hash == receipt.tx_hash), "intent")
    if kind == "cancel":
        return _in_block(held, receipt, "cancelled", held.row.reason)
    if receipt.is_reverted:
        return _in_block(held, receipt, "failed", await _why(desk, held, receipt))
    return _in_block(held, receipt, "final", TOO_LATE if held.row.is_cancelling else None)


async def _why(desk: Desk, held: Held, receipt: Receipt) -> str:
    """Why a mined call reverted: the same call again, on the state after its block."""
    row = held.row
    call: dict[str, Any] = {
        "from": row.signer,
        "to": row.to_address,
        "data": "0x" + row.data.hex(),
        "value": hex(row.value_wei),
    }
    try:
        await desk.rpc.call("eth_call", [call, hex(receipt.block_number)])
    except Answered as error:
        if reverts.is_revert(error):
            return f"the contract refused it: {reverts.reverted(error).name}"
    except Indeterminate:
        pass
    return "the contract refused it, or its gas ran out"
