"""Identifiers: internal UUIDs, external ``issuer:value`` references, and the rule between them.

An entity first seen under ``issuer:value`` gets the UUID version 5 of that reference, so that the lake, the
database and the API agree on it without asking each other. Further external ids of the same entity live in the
``external_ids`` tables. Does not belong here: look-ups (nexus.db).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from nexus.errors import invalid

Kind = Literal["user", "content"]

# RFC 9562 section 5.5: a fixed name space of our own, made once with uuid4.
_NAMESPACES: dict[Kind, uuid.UUID] = {
    "user": uuid.UUID("0b0d4a8a-8d1f-4b5e-9d53-6c1d6f1b7a01"),
    "content": uuid.UUID("0b0d4a8a-8d1f-4b5e-9d53-6c1d6f1b7a02"),
}
PATTERN = r"^([a-z][a-z0-9_.-]{0,31}:[^\s\x00-\x1f\x7f]{1,128}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
"""What :func:`parse` takes, for documents that describe it."""
_REFERENCE = re.compile(r"(?P<issuer>[a-z][a-z0-9_.-]{0,31}):(?P<value>[^\s\x00-\x1f\x7f]{1,128})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An external id: who issued it and what it says, e.g. ``movielens:1``."""

    issuer: str
    value: str

    def __str__(self) -> str:
        return f"{self.issuer}:{self.value}"


def parse(text: object, *, field: str = "id") -> uuid.UUID | Reference:
    """Read an id as a person writes it.

    Args:
        text: A UUID, or ``issuer:value`` (issuer: lower case, at most 32 characters; value: at most 128, no blanks).
        field: The name to use in the error.

    Raises:
        NexusError: category ``invalid`` when the text is neither.
    """
    if isinstance(text, uuid.UUID):
        return text
    if isinstance(text, str):
        if _UUID.fullmatch(text):
            return uuid.UUID(text)
        match = _REFERENCE.fullmatch(text)
        if match:
            return Reference(match["issuer"], match["value"])
    raise invalid(
        f"{field} is neither a UUID nor issuer:value",
        field=field,
        value=text,
        remedy="write a UUID, or issuer:value as in movielens:1",
    )


def namespace(kind: Kind) -> uuid.UUID:
    """The name space of a kind, for engines that compute :func:`internal` themselves."""
    return _NAMESPACES[kind]


def internal(kind: Kind, identifier: uuid.UUID | Reference) -> uuid.UUID:
    """The UUID under which an entity first seen under this identifier is known."""
    if isinstance(identifier, uuid.UUID):
        return identifier
    return _named(kind, identifier.issuer, identifier.value)


@lru_cache(maxsize=65_536)
def _named(kind: Kind, issuer: str, value: str) -> uuid.UUID:
    """Hashing costs 4 microseconds, and a batch of events names the same viewers and titles again and again."""
    return uuid.uuid5(_NAMESPACES[kind], f"{issuer}:{value}")
