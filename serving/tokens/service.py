"""Tokens of titles: asking for one, and what is known of those that there are.

Belongs here: the way from a request to workflows.web3_client, and from a row to an answer with its proof.
Does not belong here: the mint itself (workflows.mint), SQL (nexus.db.tokens).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from uuid import UUID

from nexus import ids
from nexus.db import tokens
from nexus.errors import invalid, not_found
from nexus.settings import Settings
from serving.content.finder import Finder
from serving.operations.service import Operations
from serving.parts import Database
from serving.tokens.enabled import Web3
from serving.wallets import evm

WITHIN_S: Final = 2.0
_LARGEST: Final = 2**256 - 1


class Tokens:
    """Asks for tokens, and for what is known of them."""

    def __init__(
        self, settings: Settings, finder: Finder, operations: Operations, database: Database, web3: Web3
    ) -> None:
        self._settings = settings
        self._finder = finder
        self._operations = operations
        self._database = database
        self._web3 = web3

    async def mint(self, identifier: UUID | ids.Reference, to: str | None, royalty_bps: int | None) -> str:
        """Start (or join) the operation that makes a title's token.

        Raises:
            NexusError: ``conflict`` without web3; ``invalid`` address; ``not_found`` title; ``unavailable`` engine.
        """
        self._web3.require()
        owner = None if to is None else evm.parse_address(to, field="to")
        title = await self._finder.get(identifier)
        from workflows import web3_client

        return await self._operations.start(
            lambda client: web3_client.start_mint(
                client, self._settings, UUID(title.content_id), to=owner, royalty_bps=royalty_bps
            )
        )

    async def of_content(self, identifier: UUID | ids.Reference) -> dict[str, Any]:
        """A title's token.

        Raises:
            NexusError: ``not_found`` when there is no such title, or when it has none.
        """
        title = await self._finder.get(identifier)
        async with self._database.connection(WITHIN_S) as connection:
            found = await tokens.token_of_content(connection, UUID(title.content_id))
        if found is None:
            raise not_found(
                "this title has no token", field="content", value=identifier, remedy=f"bin/nexus mint {identifier}"
            )
        return await self._answer(found)

    async def get(self, token_id: str) -> dict[str, Any]:
        """A token by its number; of several chains, the platform's own first.

        Raises:
            NexusError: ``invalid`` number, ``not_found`` token.
        """
        if int(token_id) > _LARGEST:
            raise invalid("token_id is over 2^256 - 1", field="token_id", value=token_id, remedy="check the number")
        async with self._database.connection(WITHIN_S) as connection:
            found = await tokens.tokens_of(connection, token_id)
        if not found:
            raise not_found(
                "no such token", field="token_id", value=token_id, remedy="GET /v1/content/{id}/token shows a title's"
            )
        chain = self._settings.web3.chain
        return await self._answer(min(found, key=lambda one: one.chain != chain))

    async def _answer(self, token: tokens.Token) -> dict[str, Any]:
        return token.model_dump(exclude={"manifest", "manifest_signature", "manifest_public_key"}) | {
            "contract": evm.checksum(token.contract),
            "owner": evm.checksum(token.owner),
            "creator": evm.checksum(token.creator),
            "proof": await asyncio.to_thread(_proof, token),
            "gateways": self._gateways(token.metadata_cid),
        }

    def _gateways(self, cid: str) -> list[str]:
        own = self._settings.web3.ipfs_gateway_url
        bases = ([own] if own else []) + list(self._settings.web3.gateways)
        return [f"{base.rstrip('/')}/ipfs/{cid}" for base in bases]


def _proof(token: tokens.Token) -> dict[str, Any] | None:
    """What the platform signed of a token, and whether the signature holds; None: it signed nothing."""
    if token.manifest is None or token.manifest_signature is None or token.manifest_public_key is None:
        return None
    from nexus.manifest_key import is_signed
    from nexus.token_metadata import canonical

    signature, key = token.manifest_signature, token.manifest_public_key
    return {
        "manifest": token.manifest,
        "algorithm": "ed25519",
        "signature": signature,
        "public_key": key,
        "is_valid": is_signed(canonical(token.manifest), signature, key),
    }
