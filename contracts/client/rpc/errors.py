"""The two ways in which a question to a node can fail: the node said no, or nobody knows what happened.

Belongs here: those two. Does not belong here: what an answer means for a transaction (transactions/).
"""

from __future__ import annotations

from typing import Any, Literal

Kind = Literal["timeout", "lost", "unreached", "throttled", "status", "malformed", "wrong chain", "disagreement"]
_LONGEST = 500


class Answered(Exception):  # noqa: N818 - it is an answer
    """The node's own error: it understood the question and refused it.

    Args:
        code: JSON-RPC error code.
        message: The node's words.
        data: What it added, as the bytes of a revert in hexadecimal.
        endpoint: Who said so; scheme, host and port only.
    """

    def __init__(self, code: int, message: str, data: Any = None, *, endpoint: str = "") -> None:
        super().__init__(f"{message[:_LONGEST]} ({code})")
        self.code = code
        self.message = message
        self.data = data
        self.endpoint = endpoint


class Indeterminate(Exception):  # noqa: N818 - neither success nor failure
    """Nobody knows whether the node did what was asked: never a reason to think that it did not.

    Args:
        reason: What happened, for a person.
        kind: What happened, for a program; only ``unreached`` means that nothing was sent.
        endpoint: Which one; scheme, host and port only.
        retry_after_s: How long the endpoint asked to be left alone.
    """

    def __init__(
        self, reason: str, *, kind: Kind = "lost", endpoint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{endpoint}: {reason}" if endpoint else reason)
        self.reason = reason
        self.kind = kind
        self.endpoint = endpoint
        self.retry_after_s = retry_after_s
