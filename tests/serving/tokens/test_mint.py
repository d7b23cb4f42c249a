"""Minting through the API: a real chain, a real IPFS node, real workers."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.workflows.web3 import ENDED

pytestmark = pytest.mark.integration

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
FIELDS = {"token_id", "contract", "chain_id", "tx_hash", "block_number", "metadata_uri", "owner"}


async def ended(client: httpx.AsyncClient, operation_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (  # noqa: ASYNC110 another process knows
            answer := (await client.get(f"/v1/operations/{operation_id}")).json()
        )["state"] not in ENDED:
            await asyncio.sleep(0.05)
    return answer


async def test_mint__twice_at_once__is_one_operation_with_the_promised_result(mints, serve) -> None:
    content_id = await mints.title()
    async with serve(mints.settings) as client, mints.workers():
        path = f"/v1/content/{content_id}"
        assert (await client.get(f"{path}/token")).status_code == 404
        body = {"to": OWNER, "royalty_bps": 750}
        started = await asyncio.gather(*(client.post(f"{path}/mint", json=body) for _ in range(4)))
        assert {(one.status_code, one.text) for one in started} == {(202, f'{{"operation_id":"mint-{content_id}"}}')}
        answer = await ended(client, f"mint-{content_id}")
        assert answer["state"] == "completed", answer
        result = answer["result"]
        assert result.keys() == FIELDS
        assert result["token_id"].isdecimal()
        again = await client.post(f"{path}/mint")  # without a body, and after it ended
        assert again.json() == started[0].json()
        assert (await client.get(f"/v1/operations/mint-{content_id}")).json()["result"] == result

        token = (await client.get(f"/v1/tokens/{result['token_id']}")).json()
        assert token == (await client.get(f"{path}/token")).json()
        assert (token["content_id"], token["owner"], token["royalty_bps"]) == (str(content_id), OWNER, 750)
        assert {name: token[name] for name in ("chain_id", "tx_hash", "block_number", "metadata_uri")} == {
            name: result[name] for name in ("chain_id", "tx_hash", "block_number", "metadata_uri")
        }
        assert token["proof"]["is_valid"] is True
        assert token["proof"]["manifest"]["token"] == result["token_id"]
        assert len(mints.anvil.transfers(result["contract"], result["token_id"])) == 1
    async with httpx.AsyncClient(trust_env=False) as outside:
        metadata = await outside.get(token["gateways"][0])
    assert int.from_bytes(hashlib.sha256(metadata.content).digest()) == int(token["token_id"])
    assert metadata.json()["id"] == str(content_id)


async def test_royalties_and_members__after_deployment__are_read_from_the_chain(mints, serve) -> None:
    async with serve(mints.settings) as client:
        royalties = (await client.get("/v1/royalties")).json()
        members = (await client.get("/v1/governance")).json()
        keys = (await client.get("/v1/keys")).json()
    assert royalties["royalty_bps"] == mints.settings.web3.royalty_bps
    assert royalties["receiver"] == royalties["splitter"]
    assert royalties["payees"]
    assert members["members"] >= 1
    assert members["rules"]["quorum_percent"] > 0
    assert (members["proposals"], members["treasury_wei"].isdecimal()) == ([], True)
    assert {one["role"] for one in keys["signers"]} >= {"minter"}
    assert [one["state"] for one in keys["keyring"]].count("active") == 1


async def test_rotate__asked_for__is_an_operation_that_others_can_follow(mints, serve) -> None:
    async with serve(mints.settings) as client, mints.workers():
        before = {
            one["address"] for one in (await client.get("/v1/keys")).json()["signers"] if one["state"] == "active"
        }
        started = await client.post("/v1/keys/signer/rotate")
        assert started.status_code == 202
        answer = await ended(client, started.json()["operation_id"])
        assert answer["state"] == "completed", answer
        after = {one["address"] for one in (await client.get("/v1/keys")).json()["signers"] if one["state"] == "active"}
    assert len(after - before) == 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"royalty_bps": 10_001}, 422, "royalty_bps"),
        ({"royalty_bps": -1}, 422, "royalty_bps"),
        ({"royalty_bps": 7.5}, 422, "royalty_bps"),
        ({"royalty_bps": True}, 422, "royalty_bps"),
        ({"to": "0x" + "0" * 40}, 422, "to"),
        ({"to": OWNER[:-1] + "7"}, 422, "to"),
        ({"to": "vitalik.eth"}, 422, "to"),
        ({"to": OWNER.replace("C8", "c8")}, 422, "to"),
        ({"owner": OWNER}, 422, "owner"),
        ([], 422, ""),
    ],
)
async def test_mint__bad_input__is_one_clear_refusal(world, serve, body, status, field) -> None:
    web3 = world.settings.web3.model_copy(update={"enabled": True})
    async with serve(world.settings.model_copy(update={"web3": web3})) as client:
        answer = await client.post(f"/v1/content/{world.titles[0]}/mint", json=body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert field in (problem["field"] or "")
    assert problem["remedy"]


async def test_mint__unknown_title__is_not_found(world, serve) -> None:
    web3 = world.settings.web3.model_copy(update={"enabled": True})
    async with serve(world.settings.model_copy(update={"web3": web3})) as client:
        for ref in (str(uuid4()), "srv:nobody-knows"):
            answer = await client.post(f"/v1/content/{ref}/mint", json={})
            assert (answer.status_code, answer.json()["field"]) == (404, "content")
        assert (await client.post("/v1/content/no id/mint")).status_code == 422


async def test_mint__no_chain_here__says_how_to_have_one(world, serve) -> None:
    async with serve(world.settings) as client:
        assert (await client.get("/v1/web3")).json()["enabled"] is False
        for method, path in (
            ("POST", f"/v1/content/{world.titles[0]}/mint"),
            ("POST", "/v1/keys/signer/rotate"),
            ("GET", "/v1/royalties"),
            ("GET", "/v1/governance"),
        ):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.json()["field"]) == (409, "web3.enabled"), path
            assert "bin/nexus up --with web3" in answer.json()["remedy"]
        assert (await client.get("/v1/keys")).json() == {"signers": [], "keyring": []}


async def test_mint__engine_or_chain_away__is_unavailable(world, serve) -> None:
    settings = world.settings.model_copy(
        update={
            "web3": world.settings.web3.model_copy(update={"enabled": True}),
            "temporal": world.settings.temporal.model_copy(update={"address": "127.0.0.1:1"}),
        }
    )
    async with serve(settings) as client:
        mint = await client.post(f"/v1/content/{world.titles[0]}/mint")
        royalties = await client.get("/v1/royalties")
    assert (mint.status_code, royalties.status_code) == (503, 503)
    assert mint.json()["remedy"]
    assert royalties.json()["remedy"]


@pytest.mark.parametrize(
    ("number", "status"),
    [("1", 404), (str(2**256 - 1), 404), (str(2**256), 422), ("01", 422), ("-1", 422), ("0x1", 422), ("1" * 79, 422)],
)
async def test_token__no_such_number__is_refused(world, serve, number, status) -> None:
    async with serve(world.settings) as client:
        answer = await client.get(f"/v1/tokens/{number}")
    assert (answer.status_code, answer.json()["field"]) == (status, "token_id")


async def test_api__loaded__without_the_heavy_libraries() -> None:
    import subprocess
    import sys

    look = "import sys, serving.app; serving.app.create_app; print(sorted({m.split('.')[0] for m in sys.modules} & {'web3', 'eth_account', 'eth_abi', 'coincurve', 'Crypto'}))"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", look], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
