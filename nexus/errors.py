"""One error type for the whole house, with what a person needs: what, where, and what to do about it.

Belongs here: the error class, its categories and their meaning for retries and HTTP.
Does not belong here: translation to an engine's own errors (each adapter does that at its edge).
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Any


class Category(StrEnum):
    """What kind of failure this is; decides retries and the HTTP status."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


_STATUS: dict[Category, HTTPStatus] = {
    Category.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Category.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Category.CONFLICT: HTTPStatus.CONFLICT,
    Category.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Category.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Category.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Category.CANCELLED: HTTPStatus.CONFLICT,
    Category.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

_RETRYABLE = frozenset({Category.UNAVAILABLE, Category.TIMEOUT})


class NexusError(Exception):
    """A failure that names the field, the value and the remedy.

    Args:
        message: One sentence, for a person.
        category: What kind of failure this is.
        field: The input or setting at fault, as the person wrote it.
        value: The offending value (never a secret); shortened to 200 characters.
        remedy: What to do about it.
        **evidence: Typed facts for logs and problem details.
    """

    def __init__(
        self,
        message: str,
        *,
        category: Category = Category.INVALID,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
        **evidence: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.category = category
        self.field = field
        self.value = None if value is None else str(value)[:200]
        self.remedy = remedy
        self.evidence = evidence

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.category in _RETRYABLE

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that an API answers with."""
        return _STATUS[self.category]

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data (problem details extension members, log fields)."""
        facts = {"field": self.field, "value": self.value, "remedy": self.remedy, **self.evidence}
        return {"message": self.message, "category": str(self.category)} | {
            key: fact for key, fact in facts.items() if fact is not None
        }

    def __str__(self) -> str:
        parts = [self.message]
        if self.field is not None:
            parts.append(f"field: {self.field}")
        if self.value is not None:
            parts.append(f"value: {self.value!r}")
        if self.remedy is not None:
            parts.append(f"remedy: {self.remedy}")
        return "; ".join(parts)


def invalid(message: str, *, field: str, value: object, remedy: str) -> NexusError:
    """A refused input."""
    return NexusError(message, category=Category.INVALID, field=field, value=value, remedy=remedy)


def not_found(message: str, *, field: str, value: object, remedy: str) -> NexusError:
    """Something that is not there."""
    return NexusError(message, category=Category.NOT_FOUND, field=field, value=value, remedy=remedy)


def unavailable(message: str, *, remedy: str, **evidence: Any) -> NexusError:
    """A part that does not answer; the same call may succeed later."""
    return NexusError(message, category=Category.UNAVAILABLE, remedy=remedy, **evidence)
