"""Sign-in and linking over real Postgres and Redis, through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from nexus import ids
from serving.wallets import service

pytestmark = pytest.mark.integration


async def ask(client: httpx.AsyncClient, address: str, user: str | None = None) -> dict[str, Any]:
    body = {"address": address} | ({} if user is None else {"user": user})
    response = await client.post("/v1/wallets/nonce", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def verify(client: httpx.AsyncClient, message: str, signature: str) -> httpx.Response:
    return await client.post("/v1/wallets/verify", json={"message": message, "signature": signature})


async def link(client: httpx.AsyncClient, signer: Any, user: str) -> httpx.Response:
    asked = await ask(client, signer.address, user)
    return await verify(client, asked["message"], signer.sign(asked["message"]))


async def test_sign_in__with_a_viewer__links_lists_and_unlinks(web3_world, serve, signer) -> None:
    viewer = web3_world.quiet_viewer
    user_id = str(ids.internal("user", ids.parse(viewer)))
    async with serve(web3_world.settings) as client:
        asked = await ask(client, signer.address.lower(), viewer)
        assert asked["message"].startswith(
            f"nexus wants you to sign in with your Ethereum account:\n{signer.address}\n"
        )
        assert f"- urn:nexus:viewer:{user_id}" in asked["message"]
        assert (asked["chain_id"], asked["address"]) == (31337, signer.address)
        entered = await verify(client, asked["message"], signer.sign(asked["message"]))
        assert entered.status_code == 200, entered.text
        assert (entered.json()["address"], entered.json()["user_id"]) == (signer.address, user_id)
        cookie = entered.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/v1/"))
        listed = (await client.get(f"/v1/users/{viewer}/wallets")).json()["items"]
        assert signer.address in {one["address"] for one in listed}
        session = (await client.get("/v1/wallets/session")).json()
        assert session == {"address": signer.address, "user_id": user_id}
        gone = await client.delete(f"/v1/users/{viewer}/wallets/{signer.address}")
        assert gone.status_code == 204
        assert signer.address not in (await client.get(f"/v1/users/{viewer}/wallets")).text
        assert (await client.get("/v1/wallets/session")).json() == {"address": None, "user_id": None}


async def test_link__viewer_known_from_an_event_only__is_made(web3_world, serve, signer) -> None:
    async with serve(web3_world.settings) as client:
        sent = await client.post("/v1/events", json={"events": [web3_world.event("like")]})
        assert sent.json()["accepted"] == 1
        assert (await link(client, signer, web3_world.viewer)).status_code == 200


async def test_sign_in__without_a_viewer__opens_a_session_and_links_nothing(web3_world, serve, signer) -> None:
    async with serve(web3_world.settings) as client:
        asked = await ask(client, signer.address)
        assert "Resources" not in asked["message"]
        assert (await verify(client, asked["message"], signer.sign(asked["message"]))).json()["user_id"] is None
        assert (await client.get("/v1/wallets/session")).json()["address"] == signer.address
        left = await client.delete("/v1/wallets/session")
        assert left.status_code == 204
        assert (await client.get("/v1/wallets/session")).json()["address"] is None


async def test_verify__sent_again_or_by_many_at_once__counts_once(web3_world, serve, signer) -> None:
    async with serve(web3_world.settings) as client:
        asked = await ask(client, signer.address)
        signature = signer.sign(asked["message"])
        answers = await asyncio.gather(*(verify(client, asked["message"], signature) for _ in range(6)))
        replayed = await verify(client, asked["message"], signature)
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403, 403, 403]
    assert (replayed.status_code, replayed.json()["field"]) == (403, "nonce")


async def test_verify__another_key_or_another_viewer__is_forbidden_and_links_nothing(
    web3_world, serve, signer, other
) -> None:
    viewer = web3_world.quiet_viewer
    async with serve(web3_world.settings) as client:
        asked = await ask(client, signer.address, viewer)
        wrong_key = await verify(client, asked["message"], other.sign(asked["message"]))
        assert (wrong_key.status_code, wrong_key.json()["field"]) == (403, "signature")
        asked = await ask(client, signer.address, viewer)
        swapped = asked["message"].rpartition(":")[0] + f":{uuid4()}"
        wrong_viewer = await verify(client, swapped, signer.sign(swapped))
        assert (wrong_viewer.status_code, wrong_viewer.json()["field"]) == (403, "resources")
        asked = await ask(client, signer.address)
        added = f"{asked['message']}\nResources:\n- urn:nexus:viewer:{ids.internal('user', ids.parse(viewer))}"
        unasked = await verify(client, added, signer.sign(added))
        assert (unasked.status_code, unasked.json()["field"]) == (403, "resources")
        assert signer.address not in (await client.get(f"/v1/users/{viewer}/wallets")).text
        assert "set-cookie" not in unasked.headers


async def test_verify__expired__is_forbidden(web3_world, serve, signer, monkeypatch) -> None:
    async with serve(web3_world.settings) as client:
        asked = await ask(client, signer.address)
        wallets = client.app.state.nexus.wallets
        now = wallets._now
        monkeypatch.setattr(wallets, "_now", lambda: now() + service.NONCE_TTL)
        late = await verify(client, asked["message"], signer.sign(asked["message"]))
    assert (late.status_code, "expired" in late.json()["detail"]) == (403, True)


async def test_link__wallet_of_another_viewer__conflicts_until_unlinked_there(web3_world, serve, signer) -> None:
    first, second = web3_world.quiet_viewer, web3_world.viewer
    async with serve(web3_world.settings) as client:
        await client.post("/v1/events", json={"events": [web3_world.event("like")]})
        assert (await link(client, signer, first)).status_code == 200
        assert (await link(client, signer, first)).status_code == 200  # again: as it was
        taken = await link(client, signer, second)
        assert (taken.status_code, taken.json()["field"]) == (409, "address")
        assert (await client.delete(f"/v1/users/{first}/wallets/{signer.address.lower()}")).status_code == 204
        assert (await link(client, signer, second)).status_code == 200


async def test_unlink__not_its_owner__is_forbidden(web3_world, serve, signer, other) -> None:
    viewer = web3_world.quiet_viewer
    path = f"/v1/users/{viewer}/wallets/{signer.address}"
    async with serve(web3_world.settings) as client:
        assert (await link(client, signer, viewer)).status_code == 200
        client.cookies.clear()
        assert (await client.delete(path)).status_code == 403
        client.cookies.set("nexus_wallet", "made-up")
        assert (await client.delete(path)).status_code == 403
        client.cookies.clear()
        asked = await ask(client, other.address)
        await verify(client, asked["message"], other.sign(asked["message"]))
        assert (await client.delete(path)).status_code == 403
        assert signer.address in (await client.get(f"/v1/users/{viewer}/wallets")).text
        missing = await client.delete(f"/v1/users/{viewer}/wallets/{other.address}")
        assert missing.status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"address": "0x" + "0" * 40}, 422, "address"),
        ({"address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"}, 422, "address"),
        ({"address": "me"}, 422, "address"),
        ({"address": "0x" + "1" * 40, "user": "nobody:here"}, 404, "user"),
        ({"address": "0x" + "1" * 40, "user": "no id"}, 422, "user"),
        ({}, 422, "address"),
    ],
)
async def test_ask__bad_input__is_one_clear_refusal(web3_world, serve, body, status, field) -> None:
    async with serve(web3_world.settings) as client:
        answer = await client.post("/v1/wallets/nonce", json=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert answer.json()["remedy"]


async def test_ask__at_another_host__is_forbidden(web3_world, serve, signer) -> None:
    async with serve(web3_world.settings) as client:
        asked = await client.post(
            "/v1/wallets/nonce", json={"address": signer.address}, headers={"host": "evil.example"}
        )
        mine = await ask(client, signer.address)
        moved = await client.post(
            "/v1/wallets/verify",
            json={"message": mine["message"], "signature": signer.sign(mine["message"])},
            headers={"host": "evil.example"},
        )
    assert (asked.status_code, asked.json()["field"]) == (403, "host")
    assert moved.status_code == 403


async def test_ask__too_often__waits(web3_world, serve, signer) -> None:
    async with serve(web3_world.settings) as client:
        answers = [
            await client.post("/v1/wallets/nonce", json={"address": signer.address})
            for _ in range(2 * service.ASKED_BY_ADDRESS + 1)  # a new minute may begin meanwhile
        ]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert refused[0].json()["remedy"]


async def test_sign_in__no_web3__says_how_to_turn_it_on(world, serve, signer) -> None:
    async with serve(world.settings) as client:
        answer = await client.post("/v1/wallets/nonce", json={"address": signer.address})
    assert (answer.status_code, answer.json()["field"]) == (409, "web3.enabled")
    assert "--with web3" in answer.json()["remedy"]


async def test_tables__what_they_hold__is_no_secret(web3_world, serve, signer) -> None:
    from nexus.db import pool

    async with serve(web3_world.settings) as client:
        asked = await ask(client, signer.address)
        entered = await verify(client, asked["message"], signer.sign(asked["message"]))
        token = client.cookies["nexus_wallet"]
        assert entered.status_code == 200
    with pool.connect(web3_world.settings, "owner") as connection:
        rows = connection.execute(
            "select encode(token_hash, 'escape') from nexus_web3.wallet_sessions where address = %s",
            (signer.address.lower(),),
        ).fetchall()
        left = connection.execute(
            "select count(*) from nexus_web3.sign_in_nonces where nonce = %s", (asked["nonce"],)
        ).fetchone()
    assert len(rows) == 1
    assert token not in rows[0][0]
    assert left == (0,)
