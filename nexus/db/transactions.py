"""Transactions: intents under their idempotency keys, and the nonces that they hold.

Belongs here: the SQL of nexus_web3.transactions. Does not belong here: lanes (nexus.db.lanes), signed payloads
(nexus.db.attempts), what a row's next step is (contracts.client.transactions).
A change names the revision that it was decided on; when somebody was faster nothing changes and the row is looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

import psycopg
from psycopg.rows import tuple_row

State = Literal["reserved", "signed", "sent", "mined", "final", "failed", "cancelled"]
RowKind = Literal["intent", "fill", "foreign"]
LEAST_GAS: Final = 21_000
OPEN: Final[tuple[State, ...]] = ("reserved", "signed", "sent", "mined")


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction as it is stored."""

    id: int
    chain_id: int
    key: str
    kind: RowKind
    role: str
    to_address: str
    data: bytes
    value_wei: int
    payload_hash: bytes
    gas_limit: int
    state: State
    signer: str | None
    nonce: int | None
    is_cancelling: bool
    tx_hash: str | None
    block_number: int | None
    block_hash: str | None
    is_reverted: bool | None
    reason: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class New:
    """A row to be, with the nonce that its lane gave it."""

    key: str
    kind: RowKind
    role: str
    to_address: str
    data: bytes
    value_wei: int
    payload_hash: bytes
    gas_limit: int
    signer: str
    nonce: int


@dataclass(frozen=True, slots=True)
class Move:
    """What a row becomes, if it still is what was read (``revision``)."""

    id: int
    revision: int
    state: State
    tx_hash: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    is_reverted: bool | None = None
    reason: str | None = None


_NAMES: Final = tuple(field.name for field in fields(Row))
_COLUMNS: Final = ", ".join(f"t.{name}" for name in _NAMES)
_SELECT: Final = f"select {_COLUMNS} from nexus_web3.transactions t"  # noqa: S608 - constants


async def _rows(connection: psycopg.AsyncConnection, query: str, values: Sequence[object]) -> list[Row]:
    cursor = connection.cursor(binary=True, row_factory=tuple_row)
    await cursor.execute(query, values)
    return [_row(found) for found in await cursor.fetchall()]


def _row(found: tuple[Any, ...]) -> Row:
    """Numerics of the server are Decimals; ours are integers."""
    values = dict(zip(_NAMES, found, strict=True))
    return Row(**values | {"value_wei": int(values["value_wei"])})


async def by_keys(connection: psycopg.AsyncConnection, chain_id: int, keys: Sequence[str]) -> dict[str, Row]:
    """Rows by idempotency key."""
    found = await _rows(connection, f"{_SELECT} where t.chain_id = %s and t.key = any(%s)", (chain_id, list(keys)))
    return {row.key: row for row in found}


async def unfinished(connection: psycopg.AsyncConnection, chain_id: int, *, after: int, limit: int) -> list[Row]:
    """Rows that are neither final, failed nor cancelled, in the order of their ids."""
    states = ", ".join(f"'{state}'" for state in OPEN)
    query = f"{_SELECT} where t.chain_id = %s and t.state in ({states}) and t.id > %s order by t.id limit %s"
    return await _rows(connection, query, (chain_id, after, limit))


async def to_sweep(
    connection: psycopg.AsyncConnection, chain_id: int, *, for_h: float, every_s: float, limit: int
) -> list[Row]:
    """Finished rows with a block, young enough to be looked at once more, that were not lately."""
    query = (
        f"{_SELECT} where t.chain_id = %s and t.state in ('final', 'failed', 'cancelled') and t.block_hash is not null"
        " and t.kind <> 'foreign' and t.final_at > now() - %s * interval '1 hour'"
        " and coalesce(t.swept_at, t.final_at) < now() - %s * interval '1 second' order by t.final_at limit %s"
    )
    return await _rows(connection, query, (chain_id, for_h, every_s, limit))


async def mark_swept(connection: psycopg.AsyncConnection, ids: Sequence[int]) -> None:
    """They were looked at again."""
    await connection.execute("update nexus_web3.transactions set swept_at = now() where id = any(%s)", (list(ids),))


async def insert(connection: psycopg.AsyncConnection, chain_id: int, rows: Sequence[New]) -> None:
    """Store reserved rows. Call it in the transaction that took their nonces.

    Raises:
        psycopg.errors.UniqueViolation: A key or a nonce is taken; nothing of the transaction may stay.
    """
    names = [field.name for field in fields(New)]
    columns = [[getattr(row, name) for row in rows] for name in names]
    types = ["text", "text", "text", "text", "bytea", "numeric", "bytea", "bigint", "text", "bigint"]
    arrays = ", ".join(f"%s::{kind}[]" for kind in types)
    listed = ", ".join(names)
    await connection.execute(
        f"insert into nexus_web3.transactions (chain_id, state, {listed})"  # noqa: S608 - constants
        f" select %s, 'reserved', {listed} from unnest({arrays}) as n ({listed})",
        (chain_id, *columns),
    )


async def move(connection: psycopg.AsyncConnection, moves: Sequence[Move]) -> set[int]:
    """Change rows that are still what was read; the ids of those that changed."""
    if not moves:
        return set()
    names = [field.name for field in fields(Move)]
    columns = [[getattr(one, name) for one in moves] for name in names]
    cursor = await connection.execute(
        """
        update nexus_web3.transactions t set state = n.state, tx_hash = n.tx_hash, block_number = n.block_number,
          block_hash = n.block_hash, is_reverted = n.is_reverted, reason = left(n.reason, 2000),
          revision = t.revision + 1,
          final_at = case when n.state in ('final', 'failed', 'cancelled') then coalesce(t.final_at, now()) end
        from unnest(%s::bigint[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::boolean[],
          %s::text[]) as n (id, revision, state, tx_hash, block_number, block_hash, is_reverted, reason)
        where t.id = n.id and t.revision = n.revision
        returning t.id
        """,
        columns,
    )
    return {int(found) for (found,) in await cursor.fetchall()}


async def set_cancelling(connection: psycopg.AsyncConnection, row: Row) -> bool:
    """Note that a row is to be cancelled; False when it changed meanwhile."""
    done = await connection.execute(
        "update nexus_web3.transactions set is_cancelling = true, revision = revision + 1 where id = %s and revision = %s",
        (row.id, row.revision),
    )
    return done.rowcount == 1


async def renumber(connection: psycopg.AsyncConnection, row: Row, signer: str, nonce: int, reason: str) -> bool:
    """Give a row another nonce, because somebody else used its own; False when it changed meanwhile."""
    done = await connection.execute(
        "update nexus_web3.transactions set signer = %s, nonce = %s, state = 'reserved', tx_hash = null,"
        " block_number = null, block_hash = null, is_reverted = null, reason = %s, revision = revision + 1"
        " where id = %s and revision = %s",
        (signer, nonce, reason, row.id, row.revision),
    )
    return done.rowcount == 1


async def end_without_nonce(
    connection: psycopg.AsyncConnection, row: Row, state: Literal["failed", "cancelled"], reason: str
) -> bool:
    """End a row whose nonce somebody else used; False when it changed meanwhile."""
    done = await connection.execute(
        "update nexus_web3.transactions set signer = null, nonce = null, state = %s, tx_hash = null, block_number = null,"
        " block_hash = null, is_reverted = null, reason = left(%s, 2000), final_at = now(), revision = revision + 1"
        " where id = %s and revision = %s",
        (state, reason, row.id, row.revision),
    )
    return done.rowcount == 1


async def insert_foreign(
    connection: psycopg.AsyncConnection,
    chain_id: int,
    role: str,
    signer: str,
    nonces: Sequence[int],
    tx_hash: str | None,
) -> None:
    """Note nonces that another program used."""
    await connection.execute(
        """
        insert into nexus_web3.transactions (chain_id, key, kind, role, to_address, data, value_wei, payload_hash,
          gas_limit, state, signer, nonce, tx_hash, reason, final_at)
        select %(chain)s, 'foreign:' || %(signer)s || ':' || n, 'foreign', %(role)s, %(signer)s, '', 0,
          sha256(convert_to(n::text, 'UTF8')), 21000, 'final', %(signer)s, n, %(hash)s, 'another program used this nonce', now()
        from unnest(%(nonces)s::bigint[]) as n
        on conflict do nothing
        """,
        {"chain": chain_id, "role": role, "signer": signer, "nonces": list(nonces), "hash": tx_hash},
    )


async def insert_closed(
    connection: psycopg.AsyncConnection,
    chain_id: int,
    key: str,
    role: str,
    to_address: str,
    data: bytes,
    value_wei: int,
    payload_hash: bytes,
) -> None:
    """Close a key that nobody has submitted: whoever comes later finds it cancelled. A key that is known stays as it is."""
    await connection.execute(
        """
        insert into nexus_web3.transactions (chain_id, key, kind, role, to_address, data, value_wei, payload_hash,
          gas_limit, state, reason, final_at)
        values (%s, %s, 'intent', %s, %s, %s, %s, %s, 21000, 'cancelled', 'cancelled before it was sent', now())
        on conflict do nothing
        """,
        (chain_id, key, role, to_address, data, value_wei, payload_hash),
    )
