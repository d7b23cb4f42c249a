"""Replacements of minting keys: which gave way to which, so that every step can be taken again.

Belongs here: nexus_web3.rotations. Does not belong here: lanes (nexus.db.lanes), keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

_FIELDS = "operation_id, chain_id, contract_address, old_address, new_address, swept_wei::text as swept_wei"


@dataclass(frozen=True, slots=True)
class RotationRow:
    """One replacement."""

    operation_id: str
    chain_id: int
    contract_address: str
    old_address: str
    new_address: str
    swept_wei: str = "0"


async def open_rotation(connection: psycopg.AsyncConnection, chain_id: int) -> RotationRow | None:
    """The replacement that is under way on a chain; there is one at most."""
    async with connection.cursor(row_factory=class_row(RotationRow)) as cursor:
        await cursor.execute(
            f"select {_FIELDS} from nexus_web3.rotations where chain_id = %s and finished_at is null",  # noqa: S608
            (chain_id,),
        )
        return await cursor.fetchone()


async def begin(connection: psycopg.AsyncConnection, row: RotationRow) -> RotationRow:
    """Note a replacement, unless one is under way on the chain; the one that is."""
    await connection.execute(
        "insert into nexus_web3.rotations (operation_id, chain_id, contract_address, old_address, new_address)"
        " values (%s, %s, %s, %s, %s) on conflict do nothing",
        (row.operation_id, row.chain_id, row.contract_address, row.old_address, row.new_address),
    )
    return await open_rotation(connection, row.chain_id) or row


async def note_swept(connection: psycopg.AsyncConnection, operation_id: str, old: str, wei: int) -> None:
    """Remember what is moved from the old key to the new one."""
    await connection.execute(
        "update nexus_web3.rotations set swept_wei = %s where operation_id = %s and old_address = %s",
        (wei, operation_id, old),
    )


async def finish(connection: psycopg.AsyncConnection, operation_id: str, old: str) -> str:
    """The replacement is over; what was moved."""
    cursor = await connection.execute(
        "update nexus_web3.rotations set finished_at = coalesce(finished_at, now())"
        " where operation_id = %s and old_address = %s returning swept_wei::text",
        (operation_id, old),
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else "0"
