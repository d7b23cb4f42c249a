"""Answers about keys, for OpenAPI. What is secret of a key has no field here."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SignerLine(BaseModel):
    """A key that sends transactions."""

    address: str
    chain_id: int
    role: str
    state: Literal["active", "draining", "retired"]
    in_flight: int = Field(description="transactions that are not final")
    needs_wei: str | None = Field(description="what it lacks to send the next one; null: it has enough")


class RingLine(BaseModel):
    """A key that encrypts what this platform stores."""

    id: str
    state: Literal["made", "active", "retired", "destroyed"]
    made_at: datetime


class KeysAnswer(BaseModel):
    """All keys."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "signers": [
                        {
                            "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                            "chain_id": 31337,
                            "role": "minter",
                            "state": "active",
                            "in_flight": 1,
                            "needs_wei": None,
                        }
                    ],
                    "keyring": [{"id": "4f1d0a9c27be", "state": "active", "made_at": "2026-01-31T20:15:00Z"}],
                }
            ]
        }
    )

    signers: list[SignerLine]
    keyring: list[RingLine]
