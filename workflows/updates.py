"""What update handlers of workflows share: the refusal, and the end that a cancelling update leads to.

A workflow can't put itself into the engine's state "cancelled" (the server refuses a request to oneself), so a run
that was cancelled by update ends with an error of the type ``cancelled``; workflows.client reads both as cancelled.
Does not belong here: the state of one workflow.
"""

from __future__ import annotations

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from nexus.errors import Category


def conflict(message: str) -> ApplicationError:
    """What a validator raises when an update comes too late or twice."""
    return ApplicationError(message, {"field": "operation_id"}, type=str(Category.CONFLICT), non_retryable=True)


def cancelled_by_update() -> ApplicationError:
    """How a run ends that a person stopped."""
    return ApplicationError(
        "the operation was cancelled",
        type=str(Category.CANCELLED),
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )
