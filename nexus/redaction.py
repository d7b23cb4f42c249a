"""What must not stand in a log line or in a span: passwords, tokens, credentials inside URLs.

Belongs here: recognising them by the name of a field and by the shape of a text. Does not belong here: where lines go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

HIDDEN = "(hidden)"
_NAMES = re.compile(
    r"passw(or)?d|passphrase|(?<![a-z])pwd|secret|(^|[_.-])token$|(access|refresh|auth|api|bearer)[_-]?token|authorization"
    r"|credential|api[_-]?key|private[_-]?key|(^|[_.-])(set[_-]?)?cookie$|(^|[_.-])dsn$",
    re.IGNORECASE,
)
_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/'\"]*@", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<kind>bearer|basic)\s+[a-z0-9._~+/=-]{6,}", re.IGNORECASE)
_PAIR = re.compile(
    r"(?P<name>\b[\w-]*(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?token|auth[_-]?token|private[_-]?key)"
    r"[\"']?\s*[=:]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&'\"})\]]+)",
    re.IGNORECASE,
)
_PLAIN = (int, float, bool, type(None), date, UUID)
_DEEPEST = 6


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    return _NAMES.search(name) is not None


def text(value: str) -> str:
    """A text without credentials of URLs, ``Bearer`` tokens and ``password=...``."""
    if "@" in value:
        value = _URL.sub(rf"\g<scheme>{HIDDEN}@", value)
    value = _BEARER.sub(rf"\g<kind> {HIDDEN}", value)
    return _PAIR.sub(rf"\g<name>{HIDDEN}", value)


def fields(found: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A mapping whose secret fields are hidden and whose texts are cleaned, however deep."""
    return {
        name: HIDDEN if is_secret(str(name)) and value is not None else _clean(value, depth + 1)
        for name, value in found.items()
    }


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, _PLAIN):
        return value
    if depth > _DEEPEST:
        return text(repr(value))
    if isinstance(value, Mapping):
        return fields(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    return text(str(value))
