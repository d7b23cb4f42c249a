"""MintMedia on a real chain, a real IPFS node, real Postgres and Temporal: exactly one token, or a clear end without one."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from typing import Any

import orjson
import pytest
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from contracts.client.ipfs import cids
from contracts.client.ipfs.node import Ipfs
from contracts.client.media import Media
from contracts.client.transactions.model import Intent
from nexus import token_metadata
from nexus.db.content import find_content
from nexus.errors import Category, NexusError
from nexus.manifest_key import is_signed
from nexus.temporal_names import MINTED_STREAM
from tests.workflows.web3 import Mints
from workflows.activities import names
from workflows.activities.web3 import Web3
from workflows.client import cancel_operation, start_mint, start_rotate_keys
from workflows.messages import StepState
from workflows.web3_client import wait_for

pytestmark = pytest.mark.integration

SOMEBODY = "0x" + "5b" * 20
STEPS = ["validate", "metadata", "pin", "manifest", "send", "final", "record", "publish"]


async def _token_of(mints: Mints, content_id: uuid.UUID) -> tuple[str, int]:
    """CID and token id that a title would have."""
    async with mints.pool.connection() as connection:
        title = await find_content(connection, content_id)
    assert title is not None
    cid = cids.raw_cid(token_metadata.of_title(title))
    return cid, cids.token_id(cid)


async def test_mint__a_title__becomes_one_token_that_everybody_knows(mints: Mints) -> None:
    content_id = await mints.title()
    async with mints.workers():
        operation_id = await start_mint(mints.client, mints.settings, content_id, SOMEBODY, 250)
        status = await mints.ended(operation_id)
        again = await start_mint(mints.client, mints.settings, content_id)
        assert again == operation_id == f"mint-{content_id}"
        assert (await mints.status(again)).result == status.result
    assert status.state == "completed", status.error
    assert [(step.name, step.state) for step in status.steps] == [(step, StepState.COMPLETED) for step in STEPS]
    result = status.result
    assert result is not None
    cid, token_id = await _token_of(mints, content_id)
    assert result == {
        "token_id": str(token_id),
        "contract": result["contract"],
        "chain_id": 31337,
        "tx_hash": result["tx_hash"],
        "block_number": result["block_number"],
        "metadata_uri": f"ipfs://{cid}",
        "owner": SOMEBODY,
    }
    (transfer,) = mints.anvil.transfers(result["contract"], result["token_id"])
    assert (transfer["transactionHash"], int(transfer["blockNumber"], 16)) == (
        result["tx_hash"],
        result["block_number"],
    )
    await _assert_known(mints, content_id, cid, token_id)


async def _assert_known(mints: Mints, content_id: uuid.UUID, cid: str, token_id: int) -> None:
    ((row_token, royalty, manifest, signature, key),) = await mints.rows(
        "select token_id, royalty_percentage, manifest, manifest_signature, manifest_public_key"
        " from nexus_web3.nft_content where content_id = %s",
        content_id,
    )
    assert (row_token, float(royalty)) == (token_id, 2.5)
    assert is_signed(token_metadata.canonical(manifest), signature, key)
    assert (manifest["content"], manifest["cid"], manifest["to"]) == (str(content_id), cid, SOMEBODY)
    ((ipfs_hash, nft_token_id),) = await mints.rows(
        "select ipfs_hash, nft_token_id from nexus_core.content where id = %s", content_id
    )
    assert (ipfs_hash, nft_token_id) == (cid, token_id)
    told = [orjson.loads(entry[b"token"]) for _, entry in await mints.events.xrange(MINTED_STREAM)]
    assert [one["token_id"] for one in told if one["content_id"] == str(content_id)] == [str(token_id)]
    async with Ipfs(mints.settings.web3.ipfs_url or "") as node:
        assert await node.is_pinned(cid)
        assert json.loads(await node.block(cid))["id"] == str(content_id)


class LosesAnswers(Interceptor):
    """Each activity does its work twice over: its first answers are lost, as when a worker dies right after it."""

    def __init__(self, losses: int = 1) -> None:
        self.lost: Counter[str] = Counter()
        self.losses = losses

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Put the loss around what runs the activity."""
        owner = self

        class Losing(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
                answer = await super().execute_activity(input)
                name = activity.info().activity_type
                if owner.lost[name] < owner.losses:
                    owner.lost[name] += 1
                    raise ConnectionError("the answer is lost")
                return answer

        return Losing(next)


async def test_mint__every_activity_s_answer_lost__ends_with_exactly_one_transfer(mints: Mints) -> None:
    content_id, losing = await mints.title(), LosesAnswers(2)
    async with mints.workers([losing]):
        status = await mints.ended(await start_mint(mints.client, mints.settings, content_id))
    assert status.state == "completed", status.error
    assert set(losing.lost) == {
        names.VALIDATE_MINT,
        names.MAKE_METADATA,
        names.PIN_METADATA,
        names.SIGN_MANIFEST,
        names.ADVANCE_CALL,
        names.RECORD_TOKEN,
        names.PUBLISH_TOKEN,
    }
    assert status.result is not None
    assert len(mints.anvil.transfers(status.result["contract"], status.result["token_id"])) == 1
    assert await mints.rows("select count(*) from nexus_web3.nft_content where content_id = %s", content_id) == [(1,)]
    assert await mints.rows(
        "select count(*) from nexus_web3.transactions where key like %s", f"mint-{content_id}%"
    ) == [(1,)]


async def test_mint__asked_for_ten_times_at_once__is_one_operation(mints: Mints) -> None:
    content_id = await mints.title()
    asked = [start_mint(mints.client, mints.settings, content_id, SOMEBODY) for _ in range(10)]
    assert len(set(await asyncio.gather(*asked))) == 1
    async with mints.workers():
        status = await mints.ended(f"mint-{content_id}")
    assert status.result is not None
    assert len(mints.anvil.transfers(status.result["contract"], status.result["token_id"])) == 1


async def test_mint__key_without_funds__waits_says_so_is_cancelled_and_minted_once_funded(mints: Mints) -> None:
    content_id, lanes = await mints.title(), await mints.lanes()
    balances = {lane: mints.anvil.balance(lane) for lane in lanes}
    cid, token_id = await _token_of(mints, content_id)
    for lane in lanes:
        mints.anvil.ask("anvil_setBalance", lane, "0x0")
    try:
        async with mints.workers(), Ipfs(mints.settings.web3.ipfs_url or "") as node:
            operation_id = await start_mint(mints.client, mints.settings, content_id)
            step = await mints.said(operation_id, "send", "waits for funds")
            assert any(lane in (step.detail or "") for lane in lanes)
            assert "wei" in (step.detail or "")
            assert await node.is_pinned(cid)
            await cancel_operation(mints.client, operation_id)
            assert (await mints.ended(operation_id)).state == "cancelled"
            assert not await node.is_pinned(cid)
            assert await mints.rows("select 1 from nexus_web3.mints where content_id = %s", content_id) == []
            assert await start_mint(mints.client, mints.settings, content_id) == operation_id
            await mints.said(operation_id, "send", "waits for funds")
            for lane, balance in balances.items():
                mints.anvil.ask("anvil_setBalance", lane, hex(balance))
            status = await mints.ended(operation_id, 60)
    finally:
        for lane, balance in balances.items():
            mints.anvil.ask("anvil_setBalance", lane, hex(balance))
    assert status.state == "completed", status.error
    assert len(mints.anvil.transfers(status.result["contract"], str(token_id))) == 1  # type: ignore[index]


async def test_mint__cancelled_after_signing__is_a_conflict_and_the_token_comes(mints: Mints) -> None:
    content_id = await mints.title()
    async with mints.workers():
        mints.anvil.ask("evm_setIntervalMining", 0)
        try:
            operation_id = await start_mint(mints.client, mints.settings, content_id)
            await mints.until(
                operation_id, lambda status: any(s.name == "final" and s.state == "running" for s in status.steps)
            )
            with pytest.raises(NexusError, match="too late") as refused:
                await cancel_operation(mints.client, operation_id)
            assert refused.value.category is Category.CONFLICT
        finally:
            mints.anvil.ask("anvil_setIntervalMining", 1)
        assert (await mints.ended(operation_id)).state == "completed"


async def test_mint__token_minted_by_somebody_else__ends_as_a_clear_conflict(mints: Mints) -> None:
    content_id = await mints.title()
    cid, token_id = await _token_of(mints, content_id)
    async with mints.workers() as web3, Ipfs(mints.settings.web3.ipfs_url or "") as node:
        media = await web3.media()
        stolen = Intent(f"stolen-{content_id}", media.address, media.mint(SOMEBODY, token_id))
        await web3.transactions.submit(stolen)
        assert (await web3.transactions.until_final(stolen.key)).state == "final"
        status = await mints.ended(await start_mint(mints.client, mints.settings, content_id))
        assert not await node.is_pinned(cid)
    assert status.state == "failed"
    assert status.error is not None
    assert status.error.category == Category.CONFLICT
    assert "already minted by someone else" in status.error.message
    assert SOMEBODY in status.error.message
    assert await mints.rows("select 1 from nexus_web3.mints where content_id = %s", content_id) == []


async def test_mint__chain_that_hangs__waits_and_blocks_nothing_else(mints: Mints) -> None:
    contents = [await mints.title() for _ in range(20)]
    async with mints.workers(timeout_s=1):
        mints.anvil.stop()
        try:
            started = [await start_mint(mints.client, mints.settings, content_id) for content_id in contents]
            rotation = await start_rotate_keys(mints.client, mints.settings)
            async with asyncio.timeout(10):
                await wait_for(mints.client, rotation)
            await mints.said(started[0], "send", "does not answer", 90)
        finally:
            mints.anvil.go_on()
        ended = [await mints.ended(operation_id, 90) for operation_id in started]
    assert [status.state for status in ended] == ["completed"] * len(contents)
    for status in ended:
        assert status.result is not None
        assert len(mints.anvil.transfers(status.result["contract"], status.result["token_id"])) == 1


@pytest.mark.parametrize(
    ("to", "words"), [("0x" + "0" * 40, "zero address"), ("0x1234", "not an address"), ("nobody", "not an address")]
)
async def test_mint__destination_that_is_none__is_refused_by_name(mints: Mints, to: str, words: str) -> None:
    content_id = await mints.title()
    async with mints.workers():
        status = await mints.ended(await start_mint(mints.client, mints.settings, content_id, to))
    assert status.state == "failed"
    assert status.error is not None
    assert (status.error.category, status.error.field) == (Category.INVALID, "to")
    assert words in status.error.message


async def test_mint__unknown_title_or_royalty_above_all__is_refused(mints: Mints) -> None:
    async with mints.workers():
        status = await mints.ended(await start_mint(mints.client, mints.settings, uuid.uuid4()))
    assert status.error is not None
    assert status.error.category == Category.NOT_FOUND
    with pytest.raises(NexusError) as refused:
        await start_mint(mints.client, mints.settings, uuid.uuid4(), royalty_bps=10_001)
    assert (refused.value.category, refused.value.field) == (Category.INVALID, "royalty_bps")


async def test_mint__terminated_in_mid_flight_and_title_changed__takes_the_first_attempt_over(mints: Mints) -> None:
    content_id = await mints.title()
    _, token_id = await _token_of(mints, content_id)
    async with mints.workers():
        mints.anvil.ask("evm_setIntervalMining", 0)
        try:
            operation_id = await start_mint(mints.client, mints.settings, content_id)
            await mints.until(
                operation_id, lambda status: any(s.name == "final" and s.state == "running" for s in status.steps)
            )
            await mints.client.get_workflow_handle(operation_id).terminate()
            await mints.rows("update nexus_core.content set title = 'Another' where id = %s returning 1", content_id)
            assert await start_mint(mints.client, mints.settings, content_id) == operation_id
        finally:
            mints.anvil.ask("anvil_setIntervalMining", 1)
        status = await mints.ended(operation_id)
    assert status.state == "completed", status.error
    assert status.result is not None
    assert status.result["token_id"] == str(token_id)
    assert len(mints.anvil.transfers(status.result["contract"], str(token_id))) == 1


def test_media__calldata_of_a_mint__is_the_same_each_time(web3_home: Any) -> None:
    media = Media(Web3(web3_home, None).rpc, SOMEBODY)  # type: ignore[arg-type]
    assert media.mint(SOMEBODY, 5, None) == media.mint(SOMEBODY, 5, None)
