"""Answers about royalties and the members' organisation. Amounts are decimal strings of wei."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_SPLITTER = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
_MEMBER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


class PayeeLine(BaseModel):
    """Who shares in royalties."""

    address: str
    shares: str
    releasable_wei: str = Field(description="due now, in the native coin")
    released_wei: str = Field(description="paid so far, in the native coin")


class RoyaltiesAnswer(BaseModel):
    """Where royalties go. What is not deployed is null."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "chain_id": 31337,
                    "coin": "ETH",
                    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
                    "receiver": _SPLITTER,
                    "royalty_bps": 500,
                    "splitter": _SPLITTER,
                    "payees": [
                        {"address": _MEMBER, "shares": "100", "releasable_wei": "25000000", "released_wei": "0"}
                    ],
                }
            ]
        }
    )

    chain_id: int
    coin: str
    contract: str | None = Field(description="the contract of the tokens")
    receiver: str | None = Field(description="who receives the default royalty")
    royalty_bps: int | None = Field(description="the default royalty in basis points of a sale")
    splitter: str | None
    payees: list[PayeeLine]


class Rules(BaseModel):
    """How a vote goes."""

    voting_delay_s: int
    voting_period_s: int
    proposal_threshold: str = Field(description="votes that a proposer needs")
    quorum_percent: int
    execution_delay_s: int | None = Field(description="between a vote and what it does")


class ProposalLine(BaseModel):
    """A proposal."""

    proposal_id: str
    description: str
    proposer: str
    state: Literal["pending", "active", "canceled", "defeated", "succeeded", "queued", "expired", "executed"]
    votes_for: str
    votes_against: str
    votes_abstained: str
    deadline_s: int = Field(description="the last second of voting, Unix time")
    executable_from_s: int | None


class GovernanceAnswer(BaseModel):
    """The members' organisation. What is not deployed is null."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "chain_id": 31337,
                    "coin": "ETH",
                    "governor": "0xCf7Ed3AccA5a467e9e704C703E8D87F634fB0Fc9",
                    "members": 3,
                    "rules": {
                        "voting_delay_s": 60,
                        "voting_period_s": 3600,
                        "proposal_threshold": "1",
                        "quorum_percent": 50,
                        "execution_delay_s": 60,
                    },
                    "timelock": "0xDc64a140Aa3E981100a9becA4E685f962f0cF6C9",
                    "treasury_wei": "1000000000000000000",
                    "parameters": {"royalty_bps": "500"},
                    "proposals": [
                        {
                            "proposal_id": "7314",
                            "description": "Lower the royalty",
                            "proposer": _MEMBER,
                            "state": "active",
                            "votes_for": "2",
                            "votes_against": "0",
                            "votes_abstained": "0",
                            "deadline_s": 1769890500,
                            "executable_from_s": None,
                        }
                    ],
                }
            ]
        }
    )

    chain_id: int
    coin: str
    governor: str | None
    members: int | None
    rules: Rules | None
    timelock: str | None = Field(description="holds the members' treasury")
    treasury_wei: str | None
    parameters: dict[str, str] = Field(description="numbers of the platform that members decided")
    proposals: list[ProposalLine] = Field(description="the newest first, of the last 50,000 blocks")
