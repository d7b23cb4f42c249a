"""One look at the chain for many rows: each goes as far as it can.

Belongs here: sorting rows by what the chain says of their nonces. Does not belong here: the steps themselves (signing.py,
sending.py, watching.py, displaced.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.client.transactions import displaced, sending, watching
from contracts.client.transactions.desk import Desk, Held
from nexus.db import attempts as attempts_db
from nexus.db import transactions as rows_db
from nexus.db.pool import acquire
from nexus.db.transactions import Row

PAGE = 1000


async def held(desk: Desk, rows: Sequence[Row]) -> list[Held]:
    """Rows with their payloads."""
    async with acquire(desk.pool) as connection:
        found = await attempts_db.of_rows(connection, [row.id for row in rows])
    return [Held(row, found.get(row.id, [])) for row in rows]


async def step(desk: Desk, rows: Sequence[Row]) -> None:
    """Take rows as far as they go now.

    Raises:
        Indeterminate: No node shows its head; nothing was done.
    """
    if not rows:
        return
    head = await desk.view.head()
    all_held = await held(desk, rows)
    mined = [one for one in all_held if one.row.state == "mined"]
    others = [one for one in all_held if one.row.state != "mined"]
    counts = await desk.view.counts(one.slot[0] for one in others)
    used = [one for one in others if one.slot[1] < counts.get(one.slot[0], 0)]
    waiting = [one for one in others if one.slot[1] >= counts.get(one.slot[0], 0)]
    if used or mined:
        orphaned, silent = await watching.settle(desk, used, mined, head)
        waiting += orphaned
        if orphaned:  # their nonces are free again
            counts |= await desk.view.counts(one.slot[0] for one in waiting)
        await displaced.resolve(desk, silent, head)
    await sending.advance_waiting(desk, waiting, head, counts)


async def step_all(desk: Desk) -> int:
    """Take every unfinished row of the chain as far as it goes; how many there were."""
    after, seen = 0, 0
    while True:
        async with acquire(desk.pool) as connection:
            rows = await rows_db.unfinished(connection, desk.chain.chain_id, after=after, limit=PAGE)
        await step(desk, rows)
        seen += len(rows)
        if len(rows) < PAGE:
            return seen
        after = rows[-1].id
