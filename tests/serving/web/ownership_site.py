"""The stand-in's answers about tokens, wallets, royalties and members.

Belongs here: answers in the contract's shapes, and a mint that goes on a step with each look.
Does not belong here: the rest of the API (page_site).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

MINT_STEPS = ["validate", "metadata", "pin", "manifest", "send", "final", "record", "publish"]
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TREASURY = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
TOKEN_ID = "83814198383102558219731078260892729932246618004265700685467928187377105751529"
FIRST_TITLE = str(uuid.uuid5(uuid.NAMESPACE_URL, "movie-1"))
RESULT = {
    "token_id": TOKEN_ID,
    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "chain_id": 31337,
    "tx_hash": "0x" + "9a" * 32,
    "block_number": 12,
    "metadata_uri": f"ipfs://{CID}",
    "owner": ADDRESS,
}


@dataclass
class Owned:
    """What is minted, who owns it, and whether there is a chain at all."""

    enabled: bool = False
    minted: list[dict[str, Any]] = field(default_factory=list)
    wallets: list[dict[str, Any]] = field(default_factory=list)
    has_token: bool = False
    looks: int = 0
    is_signed: bool = True

    def token(self, content_id: str) -> dict[str, Any]:
        """A token with its proof."""
        return RESULT | {
            "content_id": content_id,
            "chain": "anvil",
            "block_hash": "0x" + "4c" * 32,
            "metadata_cid": CID,
            "creator": TREASURY,
            "royalty_bps": 750,
            "operation_id": f"mint-{content_id}",
            "minted_at": "2026-01-31T20:15:09Z",
            "proof": {
                "manifest": {"content": content_id, "cid": CID, "chain": 31337, "token": TOKEN_ID},
                "algorithm": "ed25519",
                "signature": "7f" * 64,
                "public_key": "3b" * 32,
                "is_valid": self.is_signed,
            },
            "gateways": [f"http://127.0.0.1:15081/ipfs/{CID}", "javascript:alert(1)"],
        }


def _mint(owned: Owned) -> dict[str, Any]:
    owned.looks += 1
    done = min(2 * owned.looks, len(MINT_STEPS))
    steps = [
        {
            "name": name,
            "state": "completed" if at < done else "running" if at == done else "pending",
            "started_at": "2026-01-31T20:15:00Z" if at <= done else None,
            "finished_at": "2026-01-31T20:15:01Z" if at < done else None,
            "detail": "waits for 1 more block" if name == "final" and at == done else None,
        }
        for at, name in enumerate(MINT_STEPS)
    ]
    is_done = done == len(MINT_STEPS)
    owned.has_token = owned.has_token or is_done
    return {"state": "completed" if is_done else "running", "steps": steps, "result": RESULT if is_done else None}


def _royalties() -> dict[str, Any]:
    payees = [
        {"address": address, "shares": shares, "releasable_wei": due, "released_wei": paid}
        for address, shares, due, paid in [
            (ADDRESS, "70", "250000000000000000", "0"),
            (TREASURY, "30", "1", "12000000000000000001"),
        ]
    ]
    return {
        "chain_id": 31337,
        "coin": "ETH",
        "contract": RESULT["contract"],
        "receiver": TREASURY,
        "royalty_bps": 500,
        "splitter": TREASURY,
        "payees": payees,
    }


def _governance() -> dict[str, Any]:
    return {
        "chain_id": 31337,
        "coin": "ETH",
        "governor": TREASURY,
        "members": 3,
        "rules": {
            "voting_delay_s": 60,
            "voting_period_s": 604800,
            "proposal_threshold": "1",
            "quorum_percent": 50,
            "execution_delay_s": 3600,
        },
        "timelock": ADDRESS,
        "treasury_wei": "1500000000000000000",
        "parameters": {"royalty_bps": "500"},
        "proposals": [
            {
                "proposal_id": "7314",
                "description": "Lower the royalty to 4 % <b>now</b>",
                "proposer": ADDRESS,
                "state": "active",
                "votes_for": "2",
                "votes_against": "0",
                "votes_abstained": "1",
                "deadline_s": 1769890500,
                "executable_from_s": None,
            }
        ],
    }


def _keys() -> dict[str, Any]:
    signer = {
        "address": TREASURY,
        "chain_id": 31337,
        "role": "minter",
        "state": "active",
        "in_flight": 1,
        "needs_wei": None,
    }
    waiting = signer | {"address": ADDRESS, "state": "draining", "needs_wei": "1000000000000000"}
    return {"signers": [signer, waiting], "keyring": []}


def answer(owned: Owned, method: str, path: str, body: Any) -> tuple[int, Any] | None:  # noqa: C901
    """One answer, or None for a path of somebody else's."""
    match [method, *(unquote(part) for part in path.strip("/").split("/"))]:
        case ["GET", "v1", "web3"]:
            chain = {"chain": "anvil", "chain_id": 31337, "coin": "ETH", "remedy": None}
            off = {"chain": None, "chain_id": None, "coin": None, "remedy": "start it with bin/nexus up --with web3"}
            return 200, {"enabled": owned.enabled, "royalty_bps": 500} | (chain if owned.enabled else off)
        case ["POST", "v1", "content", ref, "mint"]:
            owned.minted.append({"content": ref} | body)
            return 202, {"operation_id": f"mint-{ref}"}
        case ["GET", "v1", "operations", _]:
            return 200, _mint(owned)
        case ["GET", "v1", "content", ref, "token"] if owned.has_token:
            return 200, owned.token(ref)
        case ["GET", "v1", "content", _, "token"]:
            return 404, {"title": "Not Found", "status": 404, "detail": "this title has no token"}
        case ["GET", "v1", "tokens", _]:
            return 200, owned.token(owned.minted[-1]["content"] if owned.minted else FIRST_TITLE)
        case ["GET", "v1", "users", _, "wallets"]:
            return 200, {"items": owned.wallets}
        case ["GET", "v1", "royalties"]:
            return 200, _royalties()
        case ["GET", "v1", "governance"]:
            return 200, _governance()
        case ["GET", "v1", "keys"]:
            return 200, _keys()
    return None
