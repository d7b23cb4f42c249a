"""Whether a sign-in message is the one that was asked for, here and now.

Belongs here: pure checks of domain, URI, chain, viewer and times, each with its own words.
Does not belong here: the grammar (siwe), the signature (evm), where nonces are kept (nexus.db.wallets).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from nexus.db.wallets import Nonce
from nexus.errors import Category, NexusError
from serving.wallets.siwe import Message, moment

VIEWER: Final = "urn:nexus:viewer:"
SKEW: Final = timedelta(minutes=2)
"""How far a wallet's clock may be from ours."""
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def domain_of(host: str, configured: str | None) -> str:
    """The domain that a sign-in at this host is for.

    Raises:
        NexusError: ``forbidden`` at a host that is neither the configured one nor this machine: a page elsewhere
            that was made to point here (DNS rebinding) gets no message to sign.
    """
    if configured is not None and host == configured:
        return host
    if configured is None and _LOOPBACK.fullmatch(host):
        return host
    raise forbidden(
        "nobody signs in at this host",
        field="host",
        value=host,
        remedy="open the page at its own address, or set NEXUS_WEB3__DOMAIN to the host that people open",
    )


def check(message: Message, asked: Nonce, *, domain: str, chain_id: int, now: datetime) -> None:
    """Compare a message with what was asked for.

    Raises:
        NexusError: ``forbidden``, naming the first field that is wrong.
    """
    expected = (
        ("domain", message.domain, asked.domain),
        ("domain", domain, asked.domain),
        ("scheme", message.scheme or urlsplit(asked.uri).scheme, urlsplit(asked.uri).scheme),
        ("address", message.address.lower(), asked.address),
        ("uri", message.uri, asked.uri),
        ("chain_id", message.chain_id, str(asked.chain_id)),
        ("chain_id", asked.chain_id, chain_id),
        ("resources", viewers_in(message), () if asked.user_id is None else (viewer_resource(asked.user_id),)),
    )
    for field, found, wanted in expected:
        if found != wanted:
            raise forbidden(
                f"the message is for another {field.replace('_', ' ')} than was asked for",
                field=field,
                value=found,
                remedy=f"sign a message for {wanted or 'no viewer'}",
            )
    _check_times(message, asked, now)


def _check_times(message: Message, asked: Nonce, now: datetime) -> None:
    ask_again = "ask for a new message and sign that"
    issued = moment(message.issued_at)
    if not asked.issued_at - SKEW <= issued <= now + SKEW:
        raise forbidden("the message is of another time", field="issued_at", value=message.issued_at, remedy=ask_again)
    if now >= asked.expires_at:
        raise forbidden("the message has expired", field="nonce", value=asked.expires_at.isoformat(), remedy=ask_again)
    if message.expiration_time is not None and now >= moment(message.expiration_time):
        raise forbidden(
            "the message has expired", field="expiration_time", value=message.expiration_time, remedy=ask_again
        )
    if message.not_before is not None and now < moment(message.not_before):
        raise forbidden(
            "the message is not valid yet", field="not_before", value=message.not_before, remedy="send it later"
        )


def viewer_resource(user_id: UUID) -> str:
    """How a message names the viewer whom the wallet is linked to."""
    return f"{VIEWER}{user_id}"


def viewers_in(message: Message) -> tuple[str, ...]:
    """The viewers that a message names; a wallet must never be linked to one that its owner did not see."""
    return tuple(one for one in message.resources or () if one.lower().startswith(VIEWER))


def forbidden(message: str, *, field: str, value: object, remedy: str) -> NexusError:
    """A refusal of what is well-formed."""
    return NexusError(message, category=Category.FORBIDDEN, field=field, value=value, remedy=remedy)
