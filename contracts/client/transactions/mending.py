"""Putting right what ordinary steps do not meet: counters, gaps, and ends that were no ends.

Belongs here: the comparison of each lane with the chain, fills of gaps by self-sends, the sweep of finished rows.
Does not belong here: rows that go their way. Everything is safe to repeat, and safe beside other workers.
"""

from __future__ import annotations

import hashlib

from psycopg import AsyncConnection

from contracts.client.transactions.desk import Desk, moved
from contracts.client.transactions.model import Mended
from contracts.client.transactions.signing import SELF_SEND_GAS
from contracts.client.transactions.view import Head
from contracts.client.transactions.watching import ORPHANED
from nexus.db import lanes as lanes_db
from nexus.db import transactions as rows_db
from nexus.db.lanes import Lane
from nexus.db.pool import acquire
from nexus.db.transactions import New

MOST_GAPS = 1000
MOST_SWEPT = 500


async def mend_lanes(desk: Desk, head: Head, mended: Mended) -> None:
    """Compare every lane's counter and rows with the chain."""
    async with acquire(desk.pool) as connection:
        found = await lanes_db.lanes(connection, desk.chain.chain_id)
    lanes = [lane for lane in found if lane.state != "retired" or lane.in_flight]
    addresses = [lane.address for lane in lanes]
    newest = await desk.view.counts(addresses)
    final = await desk.view.counts(addresses, head.final) if head.final >= 0 else {}
    balances = await desk.view.balances(addresses)
    for lane in lanes:
        if lane.address in newest:
            async with acquire(desk.pool) as connection, connection.transaction():
                await _mend_lane(desk, connection, lane, (newest[lane.address], final.get(lane.address, 0)), mended)
        if lane.needs_wei is not None and balances.get(lane.address, 0) >= lane.needs_wei:
            async with acquire(desk.pool) as connection:
                await lanes_db.set_needs(connection, desk.chain.chain_id, lane.address, None)


async def _mend_lane(
    desk: Desk, connection: AsyncConnection, lane: Lane, used: tuple[int, int], mended: Mended
) -> None:
    """Under the lane's lock: the counter stands right behind the highest nonce that anybody holds or used."""
    chain_id, (newest, final) = desk.chain.chain_id, used
    await lanes_db.locked(connection, chain_id, [lane.address])
    counter = await lanes_db.next_nonce(connection, chain_id, lane.address)
    right = max(await lanes_db.highest_nonce(connection, chain_id, lane.address) + 1, newest, lane.first_nonce)
    if counter != right:
        await lanes_db.set_next(connection, chain_id, lane.address, right)
        mended.rewound += max(0, counter - right)
        mended.notes.append(f"{lane.address}: the counter stood at {counter}, the chain and our rows say {right}")
    gaps = await lanes_db.free_nonces(connection, chain_id, lane.address, MOST_GAPS)
    foreign = [nonce for nonce in gaps if nonce < final]
    fills = [_fill(lane, nonce) for nonce in gaps if nonce >= max(newest, final)]
    if foreign:
        await rows_db.insert_foreign(connection, chain_id, lane.role, lane.address, foreign, None)
        mended.foreign += len(foreign)
    if fills:
        await rows_db.insert(connection, chain_id, fills)
        mended.filled += len(fills)


def _fill(lane: Lane, nonce: int) -> New:
    """A self-send of nothing."""
    key = f"fill:{lane.address}:{nonce}"
    digest = hashlib.sha256(key.encode()).digest()
    return New(key, "fill", lane.role, lane.address, b"", 0, digest, SELF_SEND_GAS, lane.address, nonce)


async def sweep(desk: Desk, mended: Mended) -> None:
    """Look once more at what ended lately: a chain that broke its own finality takes rows back to work."""
    patience = desk.patience
    async with acquire(desk.pool) as connection:
        rows = await rows_db.to_sweep(
            connection,
            desk.chain.chain_id,
            for_h=patience.sweep_for_h,
            every_s=patience.sweep_every_s,
            limit=MOST_SWEPT,
        )
    if not rows:
        return
    blocks = await desk.view.agreed_blocks({row.block_number for row in rows if row.block_number is not None})
    known = [row for row in rows if row.block_number in blocks]
    lost = [row for row in known if blocks[row.block_number or 0].hash != row.block_hash]
    async with acquire(desk.pool) as connection, connection.transaction():
        changed = await rows_db.move(connection, [moved(row, "sent", ORPHANED) for row in lost])
        await rows_db.mark_swept(connection, [row.id for row in known])
    mended.reopened += len(changed)
    mended.notes += [
        f"{row.key}: block {row.block_number} was final and is gone; sent again" for row in lost if row.id in changed
    ]
