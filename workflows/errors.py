"""The two ways across the engine's border: NexusError to ApplicationError, and back.

Belongs here: the translation. ``ApplicationError.type`` is the category, the details are ``NexusError.as_dict()``,
so that retry policies and callers never look at a message's text.
Does not belong here: RPC errors of the client (workflows.connection).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError  # noqa: A004

from nexus.errors import Category, NexusError

CANCELLED_TYPE = str(Category.CANCELLED)
_OWN_KEYS = ("message", "category", "field", "value", "remedy")


def to_application_error(error: NexusError) -> ApplicationError:
    """What an activity or an update handler raises for a NexusError."""
    return ApplicationError(error.message, error.as_dict(), type=str(error.category), non_retryable=not error.retryable)


def to_nexus_error(cause: BaseException | None) -> NexusError:
    """What a failure that came back from the engine means."""
    while isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        return _from_application_error(cause)
    if isinstance(cause, CancelledError):
        return NexusError("the operation was cancelled", category=Category.CANCELLED)
    if isinstance(cause, TimeoutError):
        return NexusError(
            "a step took too long", category=Category.TIMEOUT, remedy="start it again; see bin/nexus logs worker"
        )
    return NexusError(
        "the operation failed", category=Category.INTERNAL, remedy="see bin/nexus logs worker and the Temporal page"
    )


def _from_application_error(error: ApplicationError) -> NexusError:
    details: Any = error.details[0] if error.details else {}
    facts = {str(key): fact for key, fact in details.items()} if isinstance(details, Mapping) else {}
    category = error.type if error.type in set(Category) else Category.INTERNAL
    return NexusError(
        error.message,
        category=Category(category),
        field=facts.get("field"),
        value=facts.get("value"),
        remedy=facts.get("remedy"),
        **{key: fact for key, fact in facts.items() if key not in _OWN_KEYS},
    )
