"""Payloads of what replaces keys: frozen, one in, one out, as in workflows.messages.

Does not belong here: behaviour; minting (workflows.web3_messages).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from workflows.messages import Message
from workflows.web3_messages import Address, Call, Situation, Uint256


class RotateSignerRequest(Message):
    """Replace a minting key: this one, or the one that has been in use longest."""

    address: Address | None = None


class RotationTask(Message):
    """The beginning of a rotation."""

    operation_id: str
    address: Address | None = None


class Rotation(Message):
    """Which key gives way to which; ``known`` is what the workflow has seen of a step that takes its time."""

    operation_id: str
    chain_id: int
    contract: Address
    old: Address
    new: Address
    known: Situation | None = None


class Drained(Message):
    """What the old key has not ended yet."""

    in_flight: int

    @property
    def situation(self) -> Situation:
        """What is compared to find out whether anything has changed."""
        return Situation(
            state=str(self.in_flight), detail=f"{self.in_flight} transactions of the old key are under way"
        )


class Calls(Message):
    """What has to be sent for a step; none when the chain says that it is done."""

    items: Annotated[tuple[Call, ...], Field(max_length=8)] = ()


class RotateSignerResult(Message):
    """How a rotation ended."""

    retired: Address
    active: Address
    swept_wei: Uint256 = "0"


class RotateKeysRequest(Message):
    """Change the keyring's active key."""

    reason: Annotated[str, Field(max_length=500)] = ""


class KeyStep(Message):
    """A key of the ring."""

    operation_id: str
    key_id: str = ""
    retiring: str = ""


class Rewrapped(Message):
    """How many stored secrets were brought under the active key."""

    files: int = 0


class RotateKeysResult(Message):
    """How a change of keys ended."""

    active: str
    retired: str
    rewrapped: int
