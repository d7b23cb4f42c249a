"""What the compiler made of each contract: interface, bytecode, selectors; and the bytes of a call.

Belongs here: reading contracts/artifacts, encoding calls, decoding answers, events and errors.
Does not belong here: compiling (contracts.compiler), asking a node (contract.py and one file per contract).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nexus.errors import Category, NexusError, not_found

_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
FOLDER = Path(__file__).parents[1] / "artifacts"
_ERROR_STRING, _PANIC = "08c379a0", "4e487b71"
_PANICS = {0x01: "assertion", 0x11: "overflow", 0x12: "division by zero", 0x32: "index out of bounds"}


@dataclass(frozen=True)
class Log:
    """An event, decoded."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Artifact:
    """One compiled contract.

    Attributes:
        name: The contract's name.
        abi: Its interface as the compiler wrote it.
        bytecode: What is deployed, before the constructor's arguments.
        deployed_bytecode: What lies on the chain; immutables are zero here.
        entries: Kind and signature -> entry of the interface.
        functions: Signature -> selector.
        errors: Signature -> selector.
        events: Signature -> topic.
    """

    name: str
    abi: Sequence[Mapping[str, Any]]
    entries: Mapping[tuple[str, str], Mapping[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    functions: Mapping[str, str]
    errors: Mapping[str, str]
    events: Mapping[str, str]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Artifact:
        """From an artifact file's content."""
        return cls(
            name=raw["contract"],
            abi=raw["abi"],
            entries={(entry["type"], signature_of(entry)): entry for entry in raw["abi"] if "name" in entry},
            bytecode=bytes.fromhex(raw["bytecode"][2:]),
            deployed_bytecode=bytes.fromhex(raw["deployed_bytecode"][2:]),
            functions=raw["functions"],
            errors=raw["errors"],
            events=raw["events"],
        )

    def call(self, signature: str, *arguments: Any) -> bytes:
        """The bytes of a call.

        Args:
            signature: As in ``mint(address,uint256)``.
            arguments: Its arguments.
        """
        selector = self.functions.get(signature)
        if selector is None:
            raise NexusError(f"{self.name} has no function {signature}", category=Category.INTERNAL)
        return bytes.fromhex(selector[2:]) + _encode(_types(self._entry("function", signature)["inputs"]), arguments)

    def answer(self, signature: str, data: bytes) -> Any:
        """What a call returned: one value as it is, several as a tuple.

        Raises:
            NexusError: ``not_found`` when there is no such contract at the address (nothing came back).
        """
        types = _types(self._entry("function", signature)["outputs"])
        if types and not data:
            raise not_found(
                f"nothing answers as {self.name} there",
                field="contract",
                value=self.name,
                remedy="check web3.media_contract and web3.chain, or let us deploy: leave web3.media_contract unset",
            )
        values = _decode(types, data)
        return values[0] if len(values) == 1 else values

    def creation(self, *arguments: Any) -> bytes:
        """Bytecode with the constructor's arguments: what a deployment sends."""
        inputs: Sequence[Mapping[str, Any]] = next(
            (entry["inputs"] for entry in self.abi if entry["type"] == "constructor"), []
        )
        return self.bytecode + _encode(_types(inputs), arguments)

    def topic(self, name: str) -> str:
        """An event's first topic, by its name."""
        return next(topic for signature, topic in self.events.items() if signature.partition("(")[0] == name)

    def log(self, topics: Sequence[str], data: str) -> Log | None:
        """An event of this contract, decoded; None for somebody else's."""
        for signature, topic in self.events.items():
            if topics and topics[0] == topic:
                return _log(self._entry("event", signature), topics[1:], bytes.fromhex(data[2:]))
        return None

    def error(self, data: bytes | str | None) -> str | None:
        """A revert's reason, as in ``ERC721InvalidSender(0x00...)``; None when it is none of this contract's errors."""
        raw = _bytes(data)
        for signature, selector in self.errors.items():
            if raw[:4].hex() == selector[2:]:
                values = _decode(_types(self._entry("error", signature)["inputs"]), raw[4:])
                return f"{signature.partition('(')[0]}({', '.join(_shown(value) for value in values)})"
        return None

    def _entry(self, kind: str, signature: str) -> Mapping[str, Any]:
        return self.entries[kind, signature]


@cache
def load(name: str) -> Artifact:
    """A contract of ours, by name.

    Raises:
        NexusError: category ``not_found``.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
        raise not_found("no such contract", field="contract", value=name, remedy=f"one of: {known}")
    return Artifact.of(json.loads(path.read_text()))


def decode_error(data: bytes | str | None, *artifacts: Artifact) -> str:
    """A revert's reason for a person: the custom error's name and arguments, the required string, or the bare bytes.

    Args:
        data: The bytes of the revert, as a node gives them.
        artifacts: Contracts whose errors are known; none: all of ours.
    """
    from eth_abi.exceptions import DecodingError

    raw = _bytes(data)
    if not raw:
        return "reverted without a reason"
    known = artifacts or tuple(load(path.stem) for path in sorted(FOLDER.glob("*.json")))
    try:
        said = _builtin(raw) or next(filter(None, (artifact.error(raw) for artifact in known)), None)
    except (DecodingError, UnicodeDecodeError, OverflowError):
        return f"malformed error 0x{raw[:4].hex()}"
    return said or f"unknown error 0x{raw[:4].hex()}"


def _builtin(raw: bytes) -> str | None:
    """What the language itself reverts with: a string, or a failed check."""
    if raw[:4].hex() == _ERROR_STRING:
        return str(_decode(("string",), raw[4:])[0]) or "reverted with an empty reason"
    if raw[:4].hex() == _PANIC:
        code = int(_decode(("uint256",), raw[4:])[0])
        return f"Panic({_PANICS.get(code, hex(code))})"
    return None


def checksummed(address: str) -> str:
    """An address with its EIP-55 capitals.

    Raises:
        NexusError: category ``invalid``: no address, or capitals that do not fit (a mistyped one).
    """
    from eth_utils.address import to_checksum_address

    digits = address[2:]
    is_plain = digits in {digits.lower(), digits.upper()}
    if not _ADDRESS.fullmatch(address) or not (is_plain or to_checksum_address(address) == address):
        raise NexusError(
            "this is not an address",
            category=Category.INVALID,
            field="address",
            value=address,
            remedy="0x and 40 hexadecimal digits; with capitals only where EIP-55 has them",
        )
    return str(to_checksum_address(address))


def signature_of(entry: Mapping[str, Any]) -> str:
    """An ABI entry's canonical signature, as in ``mint(address,uint256)``."""
    return f"{entry['name']}({','.join(_types(entry['inputs']))})"


def _types(arguments: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_type(argument) for argument in arguments]


def _type(argument: Mapping[str, Any]) -> str:
    if not argument["type"].startswith("tuple"):
        return str(argument["type"])
    return f"({','.join(_types(argument['components']))})" + argument["type"][len("tuple") :]


def _encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    from eth_abi.abi import encode

    return encode(types, values)


def _decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    from eth_abi.abi import decode

    return tuple(decode(types, data))


def _log(entry: Mapping[str, Any], topics: Sequence[str], data: bytes) -> Log:
    indexed = [argument for argument in entry["inputs"] if argument["indexed"]]
    others = [argument for argument in entry["inputs"] if not argument["indexed"]]
    values: dict[str, Any] = {}
    for argument, topic in zip(indexed, topics, strict=True):
        is_hashed = argument["type"] in {"string", "bytes"} or argument["type"].endswith("]")
        kind = "bytes32" if is_hashed else _type(argument)
        values[argument["name"]] = _decode([kind], bytes.fromhex(topic[2:]))[0]
    decoded = _decode(_types(others), data)
    values |= {argument["name"]: value for argument, value in zip(others, decoded, strict=True)}
    return Log(entry["name"], {argument["name"]: values[argument["name"]] for argument in entry["inputs"]})


def _bytes(data: bytes | str | None) -> bytes:
    if isinstance(data, str):
        return bytes.fromhex(data.removeprefix("0x"))
    return data or b""


def _shown(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
