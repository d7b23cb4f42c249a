"""Mints under way: what each is going to do, decided once, so that every retry does the same.

Belongs here: nexus_web3.mints. Does not belong here: tokens that are final (nexus.db.tokens).
"""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict


class Mint(BaseModel):
    """One row; ``transaction_key`` is what the transaction is sent under."""

    model_config = ConfigDict(frozen=True)

    chain_id: int
    contract_address: str
    content_id: uuid.UUID
    operation_id: str
    run_id: str
    transaction_key: str
    to_address: str
    royalty_bps: int | None
    token_id: str
    metadata: bytes
    metadata_cid: str
    is_pinned: bool = False
    manifest_signature: str | None = None
    manifest_public_key: str | None = None


_COLUMNS = tuple(Mint.model_fields)
_KEY = "chain_id = %(chain_id)s and contract_address = %(contract_address)s and content_id = %(content_id)s"
_INSERT = (
    f"insert into nexus_web3.mints ({', '.join(_COLUMNS)})"  # noqa: S608 - constants only
    f" values ({', '.join(f'%({name})s' for name in _COLUMNS)}) on conflict (chain_id, contract_address, content_id)"
    f" do update set {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)}"
    " where mints.transaction_key = %(replaces)s"
)
_FIELDS = ", ".join(_COLUMNS).replace("token_id", "token_id::text as token_id")


async def store_mint(connection: psycopg.AsyncConnection, mint: Mint, *, replaces: str | None = None) -> Mint:
    """Store what a mint is going to do, unless another one was faster; what is stored then.

    Args:
        connection: Of the worker.
        mint: The plan.
        replaces: Transaction key of an earlier attempt that is over and left its row.
    """
    await connection.execute(_INSERT, mint.model_dump() | {"replaces": replaces})
    found = await find_mint(connection, mint.chain_id, mint.contract_address, mint.content_id)
    return found or mint


async def find_mint(
    connection: psycopg.AsyncConnection, chain_id: int, contract: str, content_id: uuid.UUID
) -> Mint | None:
    """What is known of a title's mint, or None."""
    values = {"chain_id": chain_id, "contract_address": contract, "content_id": content_id}
    return await _one(connection, _KEY, values)


async def mint_of(connection: psycopg.AsyncConnection, transaction_key: str) -> Mint | None:
    """The mint of a transaction, or None."""
    return await _one(connection, "transaction_key = %(key)s", {"key": transaction_key})


async def mark_pinned(connection: psycopg.AsyncConnection, transaction_key: str) -> None:
    """Remember, before it is done, that this mint pins its metadata."""
    await connection.execute(
        "update nexus_web3.mints set is_pinned = true where transaction_key = %s and not is_pinned", (transaction_key,)
    )


async def sign_mint(connection: psycopg.AsyncConnection, transaction_key: str, signature: str, public: str) -> None:
    """Keep the platform's word for the manifest."""
    await connection.execute(
        "update nexus_web3.mints set manifest_signature = %s, manifest_public_key = %s where transaction_key = %s",
        (signature, public, transaction_key),
    )


async def is_pin_needed(connection: psycopg.AsyncConnection, cid: str, transaction_key: str) -> bool:
    """Whether anybody but this mint stands on that CID."""
    cursor = await connection.execute(
        "select exists (select from nexus_web3.mints where metadata_cid = %(cid)s and transaction_key <> %(key)s)"
        " or exists (select from nexus_web3.nft_content where metadata_cid = %(cid)s)",
        {"cid": cid, "key": transaction_key},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def forget_mint(connection: psycopg.AsyncConnection, transaction_key: str) -> None:
    """Remove a mint that ended without a token."""
    await connection.execute("delete from nexus_web3.mints where transaction_key = %s", (transaction_key,))


async def _one(connection: psycopg.AsyncConnection, condition: str, values: dict[str, Any]) -> Mint | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"select {_FIELDS} from nexus_web3.mints where {condition}", values)  # noqa: S608 - constants only
        row = await cursor.fetchone()
    return Mint(**row) if row else None
