"""Why a contract refuses a call.

Belongs here: telling the contract's refusal from the node's, and finding its bytes in a node's answer. Does not belong here:
names of errors (artifacts.py), what follows from one.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.client.artifacts import decode_error
from contracts.client.rpc.errors import Answered
from contracts.client.transactions.model import Reverted

_REVERT_CODES: Final = frozenset({3, -32000, -32003, -32015})
_SELECTOR_LENGTH: Final = 10


def data_of(error: Answered) -> str | None:
    """The bytes of a revert as a node gives them: plain, or inside an object; None: the node gave none."""
    found: Any = error.data
    for _ in range(3):
        if isinstance(found, dict):
            found = found.get("data")
    return found.lower() if isinstance(found, str) and found.startswith("0x") else None


def is_revert(error: Answered) -> bool:
    """Whether the contract refused, rather than the node."""
    return data_of(error) is not None or (error.code in _REVERT_CODES and "revert" in error.message.lower())


def reverted(error: Answered) -> Reverted:
    """The refusal, named."""
    data = data_of(error) or "0x"
    return Reverted(decode_error(data), data[:_SELECTOR_LENGTH] if len(data) >= _SELECTOR_LENGTH else None)
