"""What a log of one of our contracts says, as plain data.

Belongs here: decoding by the interface of the contract that wrote it. Does not belong here: reading logs, tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from contracts.client.artifacts import load
from nexus.errors import NexusError


def decoded(contract: str, topics: Sequence[str], data: str) -> tuple[str, str] | None:
    """Name and arguments (JSON, numbers as text) of an event; None when the contract's interface does not explain it.

    Args:
        contract: The contract's name.
        topics: Hexadecimal.
        data: Hexadecimal.
    """
    from eth_abi.exceptions import DecodingError

    try:
        found = load(contract).log(topics, data)
    except (NexusError, DecodingError, ValueError):  # another contract behind the name, or another number of topics
        return None
    if found is None:
        return None
    arguments = {name: plain(value) for name, value in found.arguments.items()}
    return found.name, json.dumps(arguments, separators=(",", ":"))


def plain(value: Any) -> Any:
    """A value of the ABI as JSON: numbers as decimal text (they have up to 78 digits), bytes in hexadecimal."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
