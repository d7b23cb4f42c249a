"""What goes in and out of minting, for OpenAPI and for checking requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from serving.wallets import evm

UINT256: Final = r"^(0|[1-9][0-9]{0,77})$"
_ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
_CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


class Mint(BaseModel):
    """How a title's token is to be."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"to": _ADDRESS, "royalty_bps": 500}]})

    to: Annotated[str, Field(pattern=evm.ADDRESS)] | None = Field(
        None, description="its owner; mixed case is EIP-55; left out: the platform's treasury"
    )
    royalty_bps: int | None = Field(
        None, strict=True, ge=0, le=10_000, description="basis points of a sale; left out: the contract's default"
    )


class Proof(BaseModel):
    """What the platform signed: that this token stands for this title."""

    manifest: dict[str, Any] = Field(description="signed as canonical JSON: sorted keys, no spaces, UTF-8")
    algorithm: Literal["ed25519"]
    signature: str = Field(description="64 bytes, hexadecimal")
    public_key: str = Field(description="32 bytes, hexadecimal")
    is_valid: bool = Field(description="whether the signature holds, checked for this answer")


class TokenAnswer(BaseModel):
    """A final token and its proof."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "token_id": "83814198383102558219731078260892729932246618004265700685467928187377105751529",
                    "content_id": "1d6a0c38-9f0e-5a86-8a6e-0c36f1a9a6a1",
                    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
                    "chain_id": 31337,
                    "chain": "anvil",
                    "tx_hash": "0x" + "9a" * 32,
                    "block_number": 12,
                    "block_hash": "0x" + "4c" * 32,
                    "metadata_uri": f"ipfs://{_CID}",
                    "metadata_cid": _CID,
                    "owner": _ADDRESS,
                    "creator": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                    "royalty_bps": 500,
                    "operation_id": "mint-1d6a0c38-9f0e-5a86-8a6e-0c36f1a9a6a1",
                    "minted_at": "2026-01-31T20:15:09Z",
                    "proof": {
                        "manifest": {"content": "1d6a0c38-9f0e-5a86-8a6e-0c36f1a9a6a1", "cid": _CID, "chain": 31337},
                        "algorithm": "ed25519",
                        "signature": "7f" * 64,
                        "public_key": "3b" * 32,
                        "is_valid": True,
                    },
                    "gateways": [f"http://127.0.0.1:15081/ipfs/{_CID}"],
                }
            ]
        }
    )

    token_id: str = Field(description="decimal; the sha-256 digest of the metadata")
    content_id: UUID
    contract: str
    chain_id: int
    chain: str
    tx_hash: str = Field(description="the transaction that minted it; final")
    block_number: int
    block_hash: str | None
    metadata_uri: str
    metadata_cid: str
    owner: str = Field(description="who it was minted to")
    creator: str
    royalty_bps: int | None = Field(description="of its own; null: the contract's default")
    operation_id: str | None
    minted_at: datetime
    proof: Proof | None
    gateways: list[str] = Field(description="where the metadata can be read; its hash is the token id")


class Web3Answer(BaseModel):
    """Whether titles can be minted here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "enabled": True,
                    "chain": "anvil",
                    "chain_id": 31337,
                    "coin": "ETH",
                    "royalty_bps": 500,
                    "remedy": None,
                }
            ]
        }
    )

    enabled: bool
    chain: str | None
    chain_id: int | None
    coin: str | None
    royalty_bps: int = Field(description="the default royalty of a sale")
    remedy: str | None = Field(description="how to turn it on")
