"""Keys give way to new ones while work goes on: minting keys on a real chain, the keyring under stored secrets."""

from __future__ import annotations

import asyncio
import base64
import json
from itertools import pairwise

import pytest

from nexus.errors import Category, NexusError
from nexus.keyring import Keyring
from tests.workflows.web3 import Mints
from workflows.client import start_mint, start_rotate_keys, start_rotate_signer
from workflows.web3_client import wait_for
from workflows.web3_worker import schedule_rotation

pytestmark = pytest.mark.integration


async def test_rotate_signer__while_mints_go_on__loses_none_and_the_old_key_can_mint_no_more(mints: Mints) -> None:
    contents = [await mints.title() for _ in range(24)]
    old = set(await mints.lanes())
    async with mints.workers() as web3:
        first = [await start_mint(mints.client, mints.settings, content_id) for content_id in contents[:12]]
        rotation = await start_rotate_signer(mints.client, mints.settings)
        assert await start_rotate_signer(mints.client, mints.settings) == rotation  # joined while it runs
        second = []
        for content_id in contents[12:]:
            second.append(await start_mint(mints.client, mints.settings, content_id))
            await asyncio.sleep(0.05)
        result = await wait_for(mints.client, rotation, patience_s=60)
        ended = [await mints.ended(operation_id) for operation_id in first + second]
        media = await web3.media()
        assert not await media.is_minter(result["retired"])
        assert await media.is_minter(result["active"])
        with pytest.raises(NexusError, match="AccessControlUnauthorizedAccount"):
            await media.simulate(media.mint(result["active"], 1), sender=result["retired"])
    assert [status.state for status in ended] == ["completed"] * len(contents)
    assert result["retired"] in old
    assert set(await mints.lanes()) == old - {result["retired"]} | {result["active"]}
    states = await mints.rows("select state, role from nexus_web3.signers where address = %s", result["retired"])
    assert states == [("retired", "minter")]
    assert int(result["swept_wei"]) > 0
    assert mints.anvil.balance(result["retired"]) < 10**16
    nonces = await mints.rows(
        "select nonce from nexus_web3.transactions where signer = %s order by nonce", result["retired"]
    )
    assert all(after - before == 1 for (before,), (after,) in pairwise(nonces))


async def test_rotate_signer__cut_off_and_asked_again__goes_on_with_the_same_keys(mints: Mints) -> None:
    mints.anvil.ask("evm_setIntervalMining", 0)
    try:
        async with mints.workers():
            rotation = await start_rotate_signer(mints.client, mints.settings)
            await mints.said(rotation, "grant", "waits for a block")
            await mints.client.get_workflow_handle(rotation).terminate()
            ((old, new),) = await mints.rows(
                "select old_address, new_address from nexus_web3.rotations where finished_at is null"
            )
            assert await start_rotate_signer(mints.client, mints.settings) == rotation
            mints.anvil.ask("anvil_setIntervalMining", 1)
            result = await wait_for(mints.client, rotation, patience_s=60)
    finally:
        mints.anvil.ask("anvil_setIntervalMining", 1)
    assert (result["retired"], result["active"]) == (old, new)
    assert await mints.rows("select 1 from nexus_web3.rotations where finished_at is null") == []


async def test_rotate_signer__unknown_key__is_refused_with_those_in_use(mints: Mints) -> None:
    async with mints.workers():
        rotation = await start_rotate_signer(mints.client, mints.settings, "0x" + "ab" * 20)
        with pytest.raises(NexusError, match="no such minting key") as refused:
            await wait_for(mints.client, rotation, patience_s=30)
    assert refused.value.category is Category.NOT_FOUND
    assert (await mints.lanes())[0] in (refused.value.remedy or "")


async def test_rotate_keys__with_running_workflows__leaves_everything_readable(mints: Mints) -> None:
    content_id = await mints.title()
    ring = Keyring.open(mints.settings)
    waiting = await start_mint(mints.client, mints.settings, content_id)  # encrypted under the first key
    async with mints.workers():
        before = ring.active_id()
        first = await wait_for(mints.client, await start_rotate_keys(mints.client, mints.settings))
        second = await wait_for(mints.client, await start_rotate_keys(mints.client, mints.settings))
        assert (first["retired"], first["active"]) == (before, second["retired"])
        assert second["active"] == ring.active_id()
        assert second["rewrapped"] >= 3  # the admin's and both lanes' keys
        status = await mints.ended(waiting)
        assert status.state == "completed", status.error
        for path in (mints.settings.home / "keys" / "signers").glob("0x*.json"):
            blob = base64.b64decode(json.loads(path.read_text())["secret"])
            assert ring.key_id_of(blob) == second["active"]
    history = (await mints.client.get_workflow_handle(waiting).fetch_history()).to_json()
    assert str(content_id) not in history.replace(waiting, "")
    assert "binary/encrypted" in history or "YmluYXJ5L2VuY3J5cHRlZA==" in history


async def test_schedule__set_changed_and_removed__is_what_the_settings_say(mints: Mints) -> None:
    name = f"rotate-signer-{mints.settings.temporal.task_queue}"

    def having(cron: str | None) -> object:
        return mints.settings.model_copy(
            update={"web3": mints.settings.web3.model_copy(update={"rotate_signer": cron})}
        )

    for cron in ("15 3 * * 0", "30 4 1 * *"):
        await schedule_rotation(mints.client, having(cron))  # type: ignore[arg-type]
        await schedule_rotation(mints.client, having(cron))  # type: ignore[arg-type]
        description = await mints.client.get_schedule_handle(name).describe()
        assert description.schedule.action.workflow == "RotateSigner"  # type: ignore[union-attr]
    for _ in range(2):
        await schedule_rotation(mints.client, having(None))  # type: ignore[arg-type]
    found = [entry.id async for entry in await mints.client.list_schedules()]
    assert name not in found
