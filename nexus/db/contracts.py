"""Contracts in use, by chain.

Belongs here: the SQL of nexus_web3.contracts. Does not belong here: which contracts there should be (contracts.client).
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg


async def recorded(connection: psycopg.AsyncConnection, chain_id: int) -> dict[str, str]:
    """Name -> address, lower case."""
    cursor = await connection.execute(
        "select name, address from nexus_web3.contracts where chain_id = %s order by name", (chain_id,)
    )
    return {str(name): str(address) for name, address in await cursor.fetchall()}


async def record(connection: psycopg.AsyncConnection, chain_id: int, addresses: Mapping[str, str]) -> None:
    """Write addresses; one that is the same keeps the time of its deployment."""
    for name, address in addresses.items():
        await connection.execute(
            "insert into nexus_web3.contracts as c (chain_id, name, address) values (%s, %s, %s)"
            " on conflict (chain_id, name) do update set address = excluded.address, deployed_at = now()"
            " where c.address <> excluded.address",
            (chain_id, name, address.lower()),
        )
