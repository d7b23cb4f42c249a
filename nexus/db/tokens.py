"""Tokens that stand for titles: written once when a mint is final, read by everybody.

Belongs here: nexus_web3.nft_content and what nexus_core.content says of a title's token.
Does not belong here: mints that are under way (nexus.db.mints), transactions (contracts.client.transactions).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

BASIS_POINTS_A_PERCENT = 100


class Token(BaseModel):
    """A final token and how it can be proven. ``token_id`` is a decimal string: JSON numbers are too short for it."""

    model_config = ConfigDict(frozen=True)

    content_id: uuid.UUID
    token_id: str
    contract: str
    chain_id: int
    chain: str
    owner: str
    creator: str
    royalty_bps: int | None
    metadata_uri: str
    metadata_cid: str
    tx_hash: str
    block_number: int
    block_hash: str | None
    manifest: dict[str, Any] | None
    manifest_signature: str | None
    manifest_public_key: str | None
    operation_id: str | None
    minted_at: datetime


_FIELDS = """content_id, token_id::text as token_id, contract_address as contract, chain_id, blockchain as chain,
  owner_address as owner, creator_address as creator, (royalty_percentage * 100)::integer as royalty_bps, metadata_uri,
  metadata_cid, tx_hash, block_number, block_hash, manifest, manifest_signature, manifest_public_key, operation_id,
  minted_at"""

_INSERT = """
insert into nexus_web3.nft_content (content_id, token_id, contract_address, blockchain, creator_address, owner_address,
  royalty_percentage, metadata_uri, chain_id, tx_hash, block_number, block_hash, metadata_cid, manifest,
  manifest_signature, manifest_public_key, operation_id)
values (%(content_id)s, %(token_id)s, %(contract)s, %(chain)s, %(creator)s, %(owner)s, %(royalty)s, %(metadata_uri)s,
  %(chain_id)s, %(tx_hash)s, %(block_number)s, %(block_hash)s, %(metadata_cid)s, %(manifest)s, %(manifest_signature)s,
  %(manifest_public_key)s, %(operation_id)s)
on conflict (content_id, chain_id, contract_address) do nothing
"""

_MARK_TITLE = """
update nexus_core.content set ipfs_hash = %(metadata_cid)s, nft_token_id = %(token_id)s, blockchain_address = %(contract)s
where id = %(content_id)s and (ipfs_hash, nft_token_id, blockchain_address)
  is distinct from (%(metadata_cid)s, %(token_id)s::numeric, %(contract)s)
"""


async def record_token(connection: psycopg.AsyncConnection, token: Token) -> bool:
    """Write a final token down; whether it was new. The title then says which token stands for it."""
    values = token.model_dump(exclude={"royalty_bps", "minted_at", "manifest"}) | {
        "token_id": int(token.token_id),
        "royalty": None if token.royalty_bps is None else token.royalty_bps / BASIS_POINTS_A_PERCENT,
        "manifest": None if token.manifest is None else Jsonb(token.manifest),
    }
    async with connection.transaction():
        cursor = await connection.execute(_INSERT, values)
        await connection.execute(_MARK_TITLE, values)
    return cursor.rowcount == 1


async def tokens_of(connection: psycopg.AsyncConnection, token_id: str | int) -> Sequence[Token]:
    """Every token of this id, on whatever chain and contract; newest first."""
    return await _tokens(connection, "token_id = %s::numeric", (str(token_id),))


async def token_of_content(connection: psycopg.AsyncConnection, content_id: uuid.UUID) -> Token | None:
    """The newest token of a title, or None."""
    found = await _tokens(connection, "content_id = %s", (content_id,))
    return found[0] if found else None


async def token_on(
    connection: psycopg.AsyncConnection, content_id: uuid.UUID, chain_id: int, contract: str
) -> Token | None:
    """The token of a title on this chain and contract, or None."""
    found = await _tokens(
        connection,
        "content_id = %s and chain_id = %s and contract_address = %s",
        (content_id, chain_id, contract.lower()),
    )
    return found[0] if found else None


async def _tokens(connection: psycopg.AsyncConnection, condition: str, values: Sequence[Any]) -> list[Token]:
    query = (
        f"select {_FIELDS} from nexus_web3.nft_content"  # noqa: S608 - constants only
        f" where {condition} and chain_id is not null order by minted_at desc limit 100"
    )
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [Token(**row) for row in await cursor.fetchall()]
