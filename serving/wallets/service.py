"""Sign-in with a wallet, and linking it to a viewer.

The flow: ask for a message (a nonce is kept), the wallet signs it, verify takes the nonce away, checks message and
signature, opens a session and, where the message names a viewer, links the wallet to them.
Does not belong here: the grammar (siwe), the checks (rules), SQL (nexus.db.wallets).
"""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from nexus import ids, logs
from nexus.db import users, wallets
from nexus.errors import Category, NexusError, not_found
from nexus.settings import Settings
from serving.parts import Database
from serving.tokens.enabled import Web3
from serving.viewers.store import Viewers
from serving.wallets import evm, rules, siwe
from serving.wallets.rate import Rate

NONCE_TTL: Final = timedelta(minutes=10)
SESSION_TTL: Final = timedelta(hours=12)
STATEMENT: Final = "Sign in to NEXUS."
STATEMENT_LINK: Final = "Sign in to NEXUS and link this wallet to the viewer below."
ASKED_BY_ADDRESS = 10
ASKED_BY_CLIENT = 60
TRIED_BY_CLIENT = 60
WITHIN_S = 2.0
_ALPHABET: Final = string.ascii_letters + string.digits
_NONCE_LENGTH: Final = 32
_LOG = logs.get(__name__)


class Wallets:
    """Signs wallets in, links and unlinks them."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        viewers: Viewers,
        rate: Rate,
        web3: Web3,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._domain = settings.web3.domain
        self._database = database
        self._viewers = viewers
        self._rate = rate
        self._web3 = web3
        self._now = now

    async def ask(self, address: str, user: str | None, *, origin: str, host: str, client: str) -> dict[str, Any]:
        """A message for this wallet to sign; with a viewer, signing it links the wallet to them.

        Raises:
            NexusError: ``invalid`` address, ``forbidden`` host, ``not_found`` viewer, ``conflict`` without web3.
        """
        chain_id = self._web3.chain_id()
        account = evm.parse_address(address, field="address")
        domain = rules.domain_of(host, self._domain)
        await self._rate.take("wallet-nonce-client", client, ASKED_BY_CLIENT)
        await self._rate.take("wallet-nonce", account, ASKED_BY_ADDRESS)
        user_id = None if user is None else await self._known(ids.parse(user, field="user"))
        issued = self._now().replace(microsecond=0)
        asked = wallets.Nonce(
            "".join(secrets.choice(_ALPHABET) for _ in range(_NONCE_LENGTH)),
            account,
            user_id,
            domain,
            origin,
            chain_id,
            issued,
            issued + NONCE_TTL,
        )
        async with self._database.connection(WITHIN_S) as connection:
            await wallets.add_nonce(connection, asked)
        return {"message": str(_message(asked)), "nonce": asked.nonce, "chain_id": chain_id} | {
            "address": evm.checksum(account),
            "expires_at": asked.expires_at,
        }

    async def sign_in(self, text: str, signature: str, *, host: str, client: str) -> tuple[dict[str, Any], str]:
        """Check a signed message; returns who signed in, and the token of their session.

        Raises:
            NexusError: ``invalid`` message or signature; ``forbidden`` when it is used, expired, or for something
                else; ``conflict`` when the wallet belongs to another viewer.
        """
        chain_id = self._web3.chain_id()
        message = siwe.parse(text)
        signer = evm.recover(text, signature)
        await self._rate.take("wallet-verify", client, TRIED_BY_CLIENT)
        domain = rules.domain_of(host, self._domain)
        async with self._database.connection(WITHIN_S) as connection:
            asked = await wallets.take_nonce(connection, message.nonce)
            if asked is None:
                raise rules.forbidden(
                    "this message was used before, has expired, or was never asked for",
                    field="nonce",
                    value=message.nonce,
                    remedy="ask for a new one with POST /v1/wallets/nonce",
                )
            rules.check(message, asked, domain=domain, chain_id=chain_id, now=self._now())
            if signer != asked.address:
                raise rules.forbidden(
                    "another key signed this message",
                    field="signature",
                    value=evm.checksum(signer),
                    remedy="sign with the account that the message names; contracts that sign (EIP-1271) are not taken",
                )
            return await self._enter(connection, asked)

    async def _enter(
        self, connection: psycopg.AsyncConnection[Any], asked: wallets.Nonce
    ) -> tuple[dict[str, Any], str]:
        token = secrets.token_urlsafe(32)
        expires = self._now() + SESSION_TTL
        async with connection.transaction():
            if asked.user_id is not None:
                linked = await wallets.link(connection, asked.address, asked.user_id, asked.chain_id)
                if linked is None:
                    raise _taken(asked.address)
            await wallets.add_session(connection, _hash(token), asked.address, expires)
        _LOG.info("wallet_signed_in", is_linked=asked.user_id is not None)
        entered = {"address": evm.checksum(asked.address), "chain_id": asked.chain_id, "user_id": asked.user_id}
        return entered | {"expires_at": expires}, token

    async def of(self, user: UUID | ids.Reference) -> list[dict[str, Any]]:
        """A viewer's wallets."""
        user_id = (await self._viewers.read(user)).user_id
        async with self._database.connection(WITHIN_S) as connection:
            return [_wallet(one) for one in await wallets.of_user(connection, user_id)]

    async def unlink(self, user: UUID | ids.Reference, address: str, token: str | None) -> None:
        """End a link; only who is signed in with that very wallet may.

        Raises:
            NexusError: ``forbidden``; ``not_found`` when there is no such link.
        """
        account = evm.parse_address(address, field="address")
        user_id = (await self._viewers.read(user)).user_id
        async with self._database.connection(WITHIN_S) as connection:
            if await self._signed_in(connection, token) != account:
                raise rules.forbidden(
                    "only the owner of a wallet unlinks it",
                    field="address",
                    value=address,
                    remedy="sign in with this wallet first (POST /v1/wallets/nonce, POST /v1/wallets/verify)",
                )
            if not await wallets.unlink(connection, account, user_id):
                raise not_found(
                    "this wallet is not linked to this viewer",
                    field="address",
                    value=address,
                    remedy="GET /v1/users/{user_id}/wallets lists those that are",
                )
        _LOG.info("wallet_unlinked")

    async def session(self, token: str | None) -> dict[str, Any]:
        """Who is signed in; nobody is not an error."""
        if token is None:
            return {"address": None, "user_id": None}
        async with self._database.connection(WITHIN_S) as connection:
            address = await self._signed_in(connection, token)
            found = None if address is None else await wallets.find(connection, address)
        return {
            "address": None if address is None else evm.checksum(address),
            "user_id": None if found is None else found.user_id,
        }

    async def sign_out(self, token: str | None) -> None:
        """End a session, if it is one."""
        if token is not None:
            async with self._database.connection(WITHIN_S) as connection:
                await wallets.end_session(connection, _hash(token))

    async def _signed_in(self, connection: psycopg.AsyncConnection[Any], token: str | None) -> str | None:
        return None if token is None else await wallets.session_address(connection, _hash(token), self._now())

    async def _known(self, identifier: UUID | ids.Reference) -> UUID:
        """A viewer who may so far be known from events only."""
        user_id = (await self._viewers.read(identifier)).user_id
        async with self._database.connection(WITHIN_S) as connection:
            await users.ensure_users(connection, [(user_id, identifier)])
        return user_id


def _message(asked: wallets.Nonce) -> siwe.Message:
    is_link = asked.user_id is not None
    return siwe.Message(
        domain=asked.domain,
        address=evm.checksum(asked.address),
        statement=STATEMENT_LINK if is_link else STATEMENT,
        uri=asked.uri,
        chain_id=str(asked.chain_id),
        nonce=asked.nonce,
        issued_at=_time(asked.issued_at),
        expiration_time=_time(asked.expires_at),
        resources=(rules.viewer_resource(asked.user_id),) if asked.user_id is not None else None,
    )


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _wallet(one: wallets.Wallet) -> dict[str, Any]:
    return {"address": evm.checksum(one.address), "chain_id": one.chain_id, "linked_at": one.linked_at}


def _taken(address: str) -> NexusError:
    return NexusError(
        "this wallet is linked to another viewer",
        category=Category.CONFLICT,
        field="address",
        value=evm.checksum(address),
        remedy="unlink it there first; a wallet belongs to one viewer",
    )
