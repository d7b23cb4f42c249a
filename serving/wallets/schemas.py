"""What goes in and out of sign-in and of linking, for OpenAPI and for checking requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from nexus import ids
from serving.wallets import evm, siwe

_ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
_MESSAGE = (
    "127.0.0.1:8788 wants you to sign in with your Ethereum account:\n"
    f"{_ADDRESS}\n\nSign in to NEXUS.\n\nURI: http://127.0.0.1:8788\nVersion: 1\nChain ID: 31337\n"
    "Nonce: 8qZ1mYv0bT5xKc2RfWn7Lh4Jd9Ps3Ga6\nIssued At: 2026-01-31T20:15:00Z\nExpiration Time: 2026-01-31T20:25:00Z"
)
_WALLET: JsonDict = {"address": _ADDRESS, "chain_id": 31337, "linked_at": "2026-01-31T20:15:04Z"}
_USER = "5d0b0f3e-3c9d-5c0a-8f0f-1b7f1e6d2a10"
Address = Annotated[str, Field(description="0x and 40 hexadecimal digits; mixed case is EIP-55", examples=[_ADDRESS])]


class Ask(BaseModel):
    """Who wants to sign in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"address": _ADDRESS, "user": "movielens:1"}]}
    )

    address: str = Field(pattern=evm.ADDRESS, description="the account that will sign; mixed case is EIP-55")
    user: Annotated[str, Field(pattern=ids.PATTERN, max_length=161)] | None = Field(
        None, description="a viewer to link the wallet to, by UUID or issuer:value; left out: sign in only"
    )


class Asked(BaseModel):
    """What to sign."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "message": _MESSAGE,
                    "nonce": "8qZ1mYv0bT5xKc2RfWn7Lh4Jd9Ps3Ga6",
                    "chain_id": 31337,
                    "address": _ADDRESS,
                    "expires_at": "2026-01-31T20:25:00Z",
                }
            ]
        }
    )

    message: str = Field(description="EIP-4361; sign it as it is, with personal_sign")
    nonce: str = Field(description="for a message of your own making; counts once")
    chain_id: int
    address: Address
    expires_at: datetime


class Verify(BaseModel):
    """A signed message."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"message": _MESSAGE, "signature": "0x" + "5c" * 64 + "1b"}]}
    )

    message: str = Field(min_length=1, max_length=siwe.LONGEST, description="the message, character for character")
    signature: str = Field(pattern=evm.SIGNATURE, description="65 bytes: r, s, v (EIP-191)")


class Entered(BaseModel):
    """Who signed in; the session is in a cookie that scripts can't read."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"address": _ADDRESS, "chain_id": 31337, "user_id": _USER, "expires_at": "2026-02-01T08:15:04Z"}
            ]
        }
    )

    address: Address
    chain_id: int
    user_id: UUID | None = Field(description="the viewer whom the wallet was linked to by this message")
    expires_at: datetime


class Session(BaseModel):
    """Who is signed in here, if anybody."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"address": _ADDRESS, "user_id": _USER}]})

    address: Address | None
    user_id: UUID | None = Field(description="the viewer whom that wallet is linked to")


class WalletLine(BaseModel):
    """A linked wallet."""

    address: Address
    chain_id: int = Field(description="the chain that the proof named")
    linked_at: datetime


class WalletsAnswer(BaseModel):
    """A viewer's wallets, the first linked first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_WALLET]}]})

    items: list[WalletLine]
