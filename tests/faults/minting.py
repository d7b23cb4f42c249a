"""Mints on a platform that is broken on purpose: asking for them, reaching a moment of one, counting what came of it.

Belongs here: what faults of minting need. Does not belong here: the faults (test_web3.py).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import polars as pl

from contracts.client.artifacts import load
from contracts.devnode import DevNode
from tests.faults.platform import Platform, until

PATIENCE_S = 300.0
WEB3_PARTS = ("chain", "ipfs")


@dataclass(frozen=True)
class Mint:
    """A title whose mint was asked for."""

    content_id: str
    operation_id: str


def ask(platform: Platform, count: int) -> list[Mint]:
    """So many titles come in and are minted."""
    return [_ask(platform) for _ in range(count)]


def _ask(platform: Platform) -> Mint:
    mark = uuid.uuid4().hex[:8]
    title = {"external_id": f"mint:{mark}", "title": f"Night Ferry {mark}", "content_type": "movie", "year": 2025}
    with platform.api() as api:
        started = api.post("/v1/content", json=title)
        assert started.status_code == httpx.codes.ACCEPTED, started.text
        arrived = started.json()["operation_id"]
        assert until(lambda: operation(platform, arrived).get("state") == "completed"), operation(platform, arrived)
        content_id = str(operation(platform, arrived)["result"]["content_id"])
        asked = api.post(f"/v1/content/{content_id}/mint", json={})
        assert asked.status_code == httpx.codes.ACCEPTED, asked.text
    return Mint(content_id, asked.json()["operation_id"])


def operation(platform: Platform, operation_id: str) -> dict[str, Any]:
    """What the API says of an operation; nothing while it is away."""
    try:
        with platform.api() as api:
            answer = api.get(f"/v1/operations/{operation_id}")
    except (httpx.HTTPError, ValueError, KeyError, OSError):
        return {}
    return dict(answer.json()) if answer.status_code == httpx.codes.OK else {}


def reached(platform: Platform, mints: Sequence[Mint], moment: str) -> bool:
    """Wait until one of the mints is at a moment; whether it was, before all of them were over."""
    questions = {
        "decided": "select exists (select from nexus_web3.mints where content_id = any(%s) and not is_pinned)",
        "signed": _OPEN.format("('signed', 'sent')"),
        "mined": _OPEN.format("('mined')"),
    }
    ids = [uuid.UUID(mint.content_id) for mint in mints]
    with platform.postgres("nexus") as connection:

        def is_there() -> bool:
            row = connection.execute(questions[moment], (ids,)).fetchone()
            done = connection.execute(
                "select count(*) from nexus_web3.nft_content where content_id = any(%s)", (ids,)
            ).fetchone()
            return bool(row and row[0]) or bool(done and done[0] == len(ids))

        assert until(is_there, patience_s=PATIENCE_S, pause_s=0.005)
        row = connection.execute(questions[moment], (ids,)).fetchone()
        return bool(row and row[0])


_OPEN = (
    "select exists (select from nexus_web3.mints m join nexus_web3.transactions t"
    " on t.chain_id = m.chain_id and t.key = m.transaction_key where m.content_id = any(%s) and t.state in {})"
)


def all_end(platform: Platform, mints: Sequence[Mint]) -> None:
    """Assert that each ends with a token of its own."""
    for mint in mints:
        ends = lambda mint=mint: operation(platform, mint.operation_id).get("state") == "completed"  # noqa: E731
        assert until(ends, patience_s=PATIENCE_S, pause_s=0.2), operation(platform, mint.operation_id)
    results = [operation(platform, mint.operation_id)["result"] for mint in mints]
    assert len({result["token_id"] for result in results}) == len(mints)


def exactly_once(platform: Platform) -> int:
    """Assert that chain, database and lake have the same tokens, each once, and that no nonce is open; how many."""
    with platform.postgres("nexus") as connection:
        recorded = {
            int(token): tx_hash
            for token, tx_hash in connection.execute("select token_id, tx_hash from nexus_web3.nft_content").fetchall()
        }
        (contract,) = connection.execute(
            "select address from nexus_web3.contracts where name = 'NexusMedia'"
        ).fetchone() or ("",)
        still_open = connection.execute(
            "select key, state from nexus_web3.transactions where state not in ('final', 'cancelled')"
        ).fetchall()
    assert still_open == []
    node = DevNode(str(platform.endpoints()["web3"]["rpc_urls"][0]))
    try:
        topic = load("NexusMedia").topic("Transfer")
        asked = {"fromBlock": "0x0", "toBlock": "latest", "address": contract, "topics": [topic]}
        found = node.call("eth_getLogs", [asked])
        on_chain = {int(log["topics"][3], 16): log["transactionHash"] for log in found}
        assert len(found) == len(on_chain), "a token was transferred twice"
    finally:
        node.close()
    assert on_chain == recorded
    assert platform.pipeline().run("chain", lambda _: None, on_launch=lambda *_: None, assets=()).is_success
    table = pl.DataFrame(platform.lake().read("marts_chain__tokens"))
    assert dict(zip(map(int, table["token_id"]), table["mint_tx_hash"], strict=True)) == recorded
    return len(recorded)


def parts_answer(platform: Platform) -> bool:
    """Whether chain and IPFS run."""
    parts = json.loads(platform.nexus("status", "--json")[1])["parts"]
    states = {part["name"]: part["state"] for part in parts}
    return all(states.get(name) == "running" for name in WEB3_PARTS)
