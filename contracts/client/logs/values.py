"""What a node says of blocks and logs, read strictly: anything of another form is no answer.

Belongs here: headers and logs as values, reading them from JSON. Does not belong here: asking (section.py), proving (proofs.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}\Z")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_BYTES = re.compile(r"0x([0-9a-fA-F]{2})*\Z")
_MAX_TOPICS = 4
Key = tuple[str, int]
"""What names one log for ever: the block's hash and the log's place in the block."""


class Inconsistent(Exception):  # noqa: N818 - the chain may be moving; asking again is the cure
    """What nodes said does not fit together, or is not proven: nothing of it may be kept."""


class TooMuch(Exception):  # noqa: N818 - nothing is wrong
    """A node cannot tell so much at once."""


@dataclass(frozen=True, slots=True)
class Point:
    """A block by height and name."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Header:
    """A block's head.

    Attributes:
        number: Height.
        hash: The block's name.
        parent: Name of the block below it.
        bloom: 2048 bits: which addresses and topics its logs may have.
        receipts_root: Root of the tree of its receipts, logs among them.
        time: Seconds since 1970 as the node wrote them, hexadecimal.
        raw: All that the node said.
    """

    number: int
    hash: str
    parent: str
    bloom: bytes
    receipts_root: str
    time: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """One log as the node wrote it; numbers stay text, letters of hashes and addresses are small."""

    block_number: int
    block_hash: str
    tx_hash: str
    tx_index: str
    log_index: str
    address: str
    topics: tuple[str, ...]
    data: str

    @property
    def key(self) -> Key:
        """Its name: the same log in another block is another one."""
        return (self.block_hash, int(self.log_index, 16))


def quantity(value: object) -> int:
    """A number of the JSON-RPC.

    Raises:
        Inconsistent: It is none.
    """
    return int(_of_form(_QUANTITY, value, "a number"), 16)


def header(said: Any) -> Header:
    """A block's head.

    Raises:
        Inconsistent: It has another form.
    """
    if not isinstance(said, dict):
        raise Inconsistent("a block is no object")
    return Header(
        quantity(said.get("number")),
        _of_form(_HASH, said.get("hash"), "a block's hash"),
        _of_form(_HASH, said.get("parentHash"), "a parent's hash"),
        as_bytes(said.get("logsBloom"), 256),
        _of_form(_HASH, said.get("receiptsRoot"), "the root of the receipts"),
        _of_form(_QUANTITY, said.get("timestamp"), "a time"),
        said,
    )


def log(said: Any) -> Log:
    """A log.

    Raises:
        Inconsistent: It has another form, or it is said to be removed.
    """
    topics = said.get("topics") if isinstance(said, dict) else None
    if not isinstance(topics, list) or len(topics) > _MAX_TOPICS or said.get("removed") is True:
        raise Inconsistent("a log has another form than documented")
    return Log(
        quantity(said.get("blockNumber")),
        _of_form(_HASH, said.get("blockHash"), "a block's hash"),
        _of_form(_HASH, said.get("transactionHash"), "a transaction's hash"),
        _of_form(_QUANTITY, said.get("transactionIndex"), "an index"),
        _of_form(_QUANTITY, said.get("logIndex"), "an index"),
        _of_form(_ADDRESS, said.get("address"), "an address"),
        tuple(_of_form(_HASH, topic, "a topic") for topic in topics),
        _of_form(_BYTES, said.get("data"), "data"),
    )


def logs(said: Any) -> list[Log]:
    """A list of logs, each named once.

    Raises:
        Inconsistent: It has another form, or a log occurs twice.
    """
    if not isinstance(said, list):
        raise Inconsistent("logs are no list")
    found = [log(item) for item in said]
    if len({item.key for item in found}) != len(found):
        raise Inconsistent("a log occurs twice in one answer")
    return found


def as_bytes(value: object, size: int | None = None) -> bytes:
    """Bytes of the JSON-RPC.

    Raises:
        Inconsistent: They are none, or not so many.
    """
    found = bytes.fromhex(_of_form(_BYTES, value, "bytes")[2:])
    if size is not None and len(found) != size:
        raise Inconsistent(f"{len(found)} bytes where {size} belong")
    return found


def _of_form(form: re.Pattern[str], value: object, what: str) -> str:
    if not isinstance(value, str) or form.match(value) is None:
        raise Inconsistent(f"{what} has another form than documented: {str(value)[:80]!r}")
    return value.lower()
