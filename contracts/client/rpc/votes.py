"""When two nodes have said the same.

Belongs here: what of an answer is compared. Does not belong here: whom to ask (pool.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from contracts.client.rpc.errors import Answered

# What of an answer has to agree: nodes of different makers add fields of their own.
_TELLING: dict[str, tuple[str, ...]] = {
    "eth_getTransactionReceipt": ("transactionHash", "blockHash", "blockNumber", "status", "contractAddress"),
    "eth_getTransactionByHash": ("hash", "blockHash", "from", "nonce"),
    "eth_getBlockByNumber": ("hash", "number", "parentHash"),
    "eth_getBlockByHash": ("hash", "number", "parentHash"),
}


def ballot(method: str, said: Any, by: Callable[[Any], Any] | None) -> str:
    """What is compared, as text."""
    if isinstance(said, Answered):
        return f"error {said.code}"
    telling = _TELLING.get(method)
    if by is not None:
        said = by(said)
    elif telling is not None and isinstance(said, dict):
        said = [said.get(name) for name in telling]
    return json.dumps(said, sort_keys=True, default=str).lower()


def unwrapped(said: Any) -> Any:
    """The answer; an error is raised."""
    if isinstance(said, Answered):
        raise said
    return said
