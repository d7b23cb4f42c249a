"""Wallets of viewers, and the sign-ins that link them.

Belongs here: reading and writing nexus_web3.wallets, sign_in_nonces and wallet_sessions.
Does not belong here: what a sign-in has to say (serving.wallets), tokens (nexus.db.tokens).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

_NONCE: Final = "nonce, address, user_id, domain, uri, chain_id, issued_at, expires_at"


@dataclass(frozen=True, slots=True)
class Nonce:
    """What somebody was asked to sign."""

    nonce: str
    address: str
    user_id: uuid.UUID | None
    domain: str
    uri: str
    chain_id: int
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Wallet:
    """An address and the viewer whom its owner linked it to."""

    address: str
    user_id: uuid.UUID
    chain_id: int
    linked_at: datetime


async def add_nonce(connection: psycopg.AsyncConnection, asked: Nonce) -> None:
    """Keep a nonce until it is used or expires; those that expired go."""
    await connection.execute("delete from nexus_web3.sign_in_nonces where expires_at < %s", (asked.issued_at,))
    await connection.execute(
        f"insert into nexus_web3.sign_in_nonces ({_NONCE}) values (%s, %s, %s, %s, %s, %s, %s, %s)",  # noqa: S608
        (
            asked.nonce,
            asked.address,
            asked.user_id,
            asked.domain,
            asked.uri,
            asked.chain_id,
            asked.issued_at,
            asked.expires_at,
        ),
    )


async def take_nonce(connection: psycopg.AsyncConnection, nonce: str) -> Nonce | None:
    """What was asked under this nonce; it is gone afterwards, so that of two callers one gets it."""
    cursor = await connection.execute(
        f"delete from nexus_web3.sign_in_nonces where nonce = %s returning {_NONCE}",  # noqa: S608
        (nonce,),
    )
    row = await cursor.fetchone()
    return None if row is None else Nonce(*row)


async def link(connection: psycopg.AsyncConnection, address: str, user_id: uuid.UUID, chain_id: int) -> Wallet | None:
    """Link a wallet to a viewer; once linked it stays as it is. None: it belongs to another viewer."""
    await connection.execute(
        "insert into nexus_web3.wallets (address, user_id, chain_id) values (%s, %s, %s) on conflict do nothing",
        (address, user_id, chain_id),
    )
    found = await find(connection, address)
    return found if found is not None and found.user_id == user_id else None


async def unlink(connection: psycopg.AsyncConnection, address: str, user_id: uuid.UUID) -> bool:
    """End a link and the sessions of that wallet; whether there was one."""
    async with connection.transaction():
        cursor = await connection.execute(
            "delete from nexus_web3.wallets where address = %s and user_id = %s", (address, user_id)
        )
        await connection.execute("delete from nexus_web3.wallet_sessions where address = %s", (address,))
    return cursor.rowcount > 0


async def find(connection: psycopg.AsyncConnection, address: str) -> Wallet | None:
    """The link of a wallet."""
    cursor = await connection.execute(
        "select address, user_id, chain_id, linked_at from nexus_web3.wallets where address = %s", (address,)
    )
    row = await cursor.fetchone()
    return None if row is None else Wallet(*row)


async def of_user(connection: psycopg.AsyncConnection, user_id: uuid.UUID) -> list[Wallet]:
    """A viewer's wallets, the first linked first."""
    cursor = await connection.execute(
        "select address, user_id, chain_id, linked_at from nexus_web3.wallets where user_id = %s"
        " order by linked_at, address",
        (user_id,),
    )
    return [Wallet(*row) async for row in cursor]


async def add_session(
    connection: psycopg.AsyncConnection, token_hash: bytes, address: str, expires_at: datetime
) -> None:
    """Remember who signed in, by the hash of what they were given; sessions that ended go."""
    await connection.execute("delete from nexus_web3.wallet_sessions where expires_at < now()")
    await connection.execute(
        "insert into nexus_web3.wallet_sessions (token_hash, address, expires_at) values (%s, %s, %s)",
        (token_hash, address, expires_at),
    )


async def session_address(connection: psycopg.AsyncConnection, token_hash: bytes, now: datetime) -> str | None:
    """Whose session this is, while it lasts."""
    cursor = await connection.execute(
        "select address from nexus_web3.wallet_sessions where token_hash = %s and expires_at > %s", (token_hash, now)
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def end_session(connection: psycopg.AsyncConnection, token_hash: bytes) -> None:
    """Forget who signed in."""
    await connection.execute("delete from nexus_web3.wallet_sessions where token_hash = %s", (token_hash,))
