"""Lanes: the keys that send transactions, and the nonces that each has given out.

Belongs here: the SQL of nexus_web3.signers. Does not belong here: transactions (nexus.db.transactions), choosing a lane.
Whoever gives out a nonce holds the lane's row lock until the row that takes it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg.rows import class_row

LaneState = Literal["active", "draining", "retired"]
_OPEN = "('reserved', 'signed', 'sent')"


@dataclass(frozen=True, slots=True)
class Lane:
    """One key on one chain. ``open_cost`` is gas x fee + value of what is not mined yet."""

    address: str
    role: str
    state: LaneState
    first_nonce: int
    next_nonce: int
    needs_wei: int | None
    in_flight: int
    open_gas: int
    open_value_wei: int


async def enrol(
    connection: psycopg.AsyncConnection, chain_id: int, address: str, role: str, *, nonce: int, state: LaneState
) -> None:
    """Take a key over at its present nonce; one that is known stays as it is."""
    await connection.execute(
        "insert into nexus_web3.signers (chain_id, address, role, state, first_nonce, next_nonce)"
        " values (%(chain)s, %(address)s, %(role)s, %(state)s, %(nonce)s, %(nonce)s) on conflict do nothing",
        {"chain": chain_id, "address": address, "role": role, "state": state, "nonce": nonce},
    )


async def lanes(connection: psycopg.AsyncConnection, chain_id: int, *, role: str | None = None) -> list[Lane]:
    """All lanes of a chain, or those of a role, in the order of their addresses."""
    query = f"""
        select s.address, s.role, s.state, s.first_nonce, s.next_nonce, s.needs_wei,
          count(t.id) as in_flight,
          coalesce(sum(t.gas_limit) filter (where t.state in {_OPEN}), 0)::bigint as open_gas,
          coalesce(sum(t.value_wei) filter (where t.state in {_OPEN}), 0) as open_value_wei
        from nexus_web3.signers s left join nexus_web3.transactions t
          on t.chain_id = s.chain_id and t.signer = s.address and t.state in ('reserved', 'signed', 'sent', 'mined')
        where s.chain_id = %s and (%s::text is null or s.role = %s)
        group by s.chain_id, s.address order by s.address
        """  # noqa: S608 - constants
    async with connection.cursor(row_factory=class_row(Lane)) as cursor:
        await cursor.execute(query, (chain_id, role, role))
        return [_whole(lane) for lane in await cursor.fetchall()]


def _whole(lane: Lane) -> Lane:
    """Numbers of the server as integers of ours."""
    needs = None if lane.needs_wei is None else int(lane.needs_wei)
    return Lane(
        lane.address,
        lane.role,
        lane.state,
        lane.first_nonce,
        lane.next_nonce,
        needs,
        lane.in_flight,
        lane.open_gas,
        int(lane.open_value_wei),
    )


async def locked(connection: psycopg.AsyncConnection, chain_id: int, addresses: Sequence[str]) -> dict[str, LaneState]:
    """Lock lanes, in one order for everybody, until the transaction ends; their states."""
    cursor = await connection.execute(
        "select address, state from nexus_web3.signers where chain_id = %s and address = any(%s)"
        " order by address for update",
        (chain_id, list(addresses)),
    )
    return dict(await cursor.fetchall())


async def locked_of_role(connection: psycopg.AsyncConnection, chain_id: int, role: str) -> dict[str, LaneState]:
    """Lock all lanes of a role that may get work, in one order for everybody; their states."""
    cursor = await connection.execute(
        "select address, state from nexus_web3.signers where chain_id = %s and role = %s and state <> 'retired'"
        " order by address for update",
        (chain_id, role),
    )
    return dict(await cursor.fetchall())


async def next_nonce(connection: psycopg.AsyncConnection, chain_id: int, address: str) -> int:
    """The counter of a locked lane."""
    cursor = await connection.execute(
        "select next_nonce from nexus_web3.signers where chain_id = %s and address = %s", (chain_id, address)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def taken(connection: psycopg.AsyncConnection, chain_id: int, address: str, count: int) -> int:
    """Give out so many nonces of a locked lane; the first of them."""
    cursor = await connection.execute(
        "update nexus_web3.signers set next_nonce = next_nonce + %s where chain_id = %s and address = %s"
        " returning next_nonce - %s",
        (count, chain_id, address, count),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the caller holds its lock
    return int(row[0])


async def set_state(connection: psycopg.AsyncConnection, chain_id: int, address: str, state: LaneState) -> bool:
    """Change a lane's state; False when there is no such lane."""
    done = await connection.execute(
        "update nexus_web3.signers set state = %s where chain_id = %s and address = %s", (state, chain_id, address)
    )
    return done.rowcount == 1


async def set_needs(connection: psycopg.AsyncConnection, chain_id: int, address: str, needs_wei: int | None) -> None:
    """Note what a lane lacks; None: it has enough."""
    await connection.execute(
        "update nexus_web3.signers set needs_wei = %s where chain_id = %s and address = %s"
        " and needs_wei is distinct from %s",
        (needs_wei, chain_id, address, needs_wei),
    )


async def set_next(connection: psycopg.AsyncConnection, chain_id: int, address: str, nonce: int) -> None:
    """Put the counter of a locked lane right."""
    await connection.execute(
        "update nexus_web3.signers set next_nonce = greatest(first_nonce, %s) where chain_id = %s and address = %s",
        (nonce, chain_id, address),
    )


async def free_nonces(connection: psycopg.AsyncConnection, chain_id: int, address: str, limit: int) -> list[int]:
    """Nonces below the counter that no row holds, lowest first."""
    cursor = await connection.execute(
        """
        select n from nexus_web3.signers s, generate_series(s.first_nonce, s.next_nonce - 1) as n
        where s.chain_id = %s and s.address = %s and not exists (select from nexus_web3.transactions t
          where t.chain_id = s.chain_id and t.signer = s.address and t.nonce = n)
        order by n limit %s
        """,
        (chain_id, address, limit),
    )
    return [int(nonce) for (nonce,) in await cursor.fetchall()]


async def highest_nonce(connection: psycopg.AsyncConnection, chain_id: int, address: str) -> int:
    """The highest nonce that a row or a signed payload holds; -1: none."""
    cursor = await connection.execute(
        "select greatest((select max(nonce) from nexus_web3.transactions where chain_id = %(c)s and signer = %(a)s),"
        " (select max(nonce) from nexus_web3.attempts where chain_id = %(c)s and signer = %(a)s), -1)",
        {"c": chain_id, "a": address},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else -1
