"""Royalties reach every payee once, and what members pass is executed, on a real chain with the platform's contracts."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from contracts.client.artifacts import load
from contracts.client.governor import Action, Governor, Proposal, Support
from contracts.client.splitter import Splitter
from contracts.client.transactions.model import Intent
from nexus.errors import Category, NexusError
from tests.workflows.web3 import Mints
from workflows.activities.web3 import Web3
from workflows.web3_client import start_proposal, start_royalties, wait_for

pytestmark = pytest.mark.integration

INCOME = 10**18 + 7


async def _send(web3: Web3, to: str, data: bytes, *, value: int = 0, role: str = "admin") -> None:
    key = f"test-{uuid.uuid4()}"
    await web3.transactions.submit(Intent(key, to, data, value, role))
    assert (await web3.transactions.until_final(key)).state == "final"


async def test_royalties__native_income__reaches_every_payee_once(mints: Mints) -> None:
    async with mints.workers() as web3:
        splitter = Splitter(web3.rpc, await web3.contract("NexusSplitter"))
        payees = [payee.address for payee in await splitter.payees()]
        await _send(web3, splitter.address, b"", value=INCOME)
        before = {payee: await splitter.released(payee) for payee in payees}
        due = {payee: await splitter.releasable(payee) for payee in payees}
        number = uuid.uuid4().hex
        operation_id = await start_royalties(mints.client, mints.settings, number)
        result = await wait_for(mints.client, operation_id, patience_s=30)
        assert await start_royalties(mints.client, mints.settings, number) == operation_id
        assert await wait_for(mints.client, operation_id, patience_s=30) == result
        after = {payee: await splitter.released(payee) for payee in payees}
    paid = {one["payee"]: int(one["amount"]) for one in result["payments"] if one["outcome"] == "paid"}
    assert paid == {payee.lower(): amount for payee, amount in due.items() if amount}
    assert {payee: after[payee] - before[payee] for payee in payees} == due
    assert sum(paid.values()) > INCOME - len(payees)


async def _passed(mints: Mints, web3: Web3, action: Action) -> int:
    """A proposal that the one member has passed."""
    governor = Governor(web3.rpc, await web3.contract("NexusGovernor"))
    proposal = Proposal.of([action], f"A test {uuid.uuid4()}")
    votes = load("NexusVotes")
    admin = await web3.lane("admin")
    await _send(web3, await web3.contract("NexusVotes"), votes.call("delegate(address)", admin))
    await _send(web3, governor.address, governor.propose(proposal))
    mints.anvil.ask("evm_increaseTime", 3)
    mints.anvil.ask("evm_mine")
    await _send(web3, governor.address, governor.vote(proposal.id, Support.FOR))
    mints.anvil.ask("evm_increaseTime", 120)
    mints.anvil.ask("evm_mine")
    return proposal.id


async def _parameter(web3: Web3, name: str, value: int) -> Action:
    address = await web3.contract("NexusParameters")
    artifact: Any = load("NexusParameters")
    return Action(address, artifact.call("set(bytes32,uint256)", name.encode().ljust(32, b"\0"), value))


async def test_proposal__passed__is_queued_and_executed(mints: Mints) -> None:
    async with mints.workers() as web3:
        number = await _passed(mints, web3, await _parameter(web3, "test", 7))
        operation_id = await start_proposal(mints.client, mints.settings, number)
        await mints.said(operation_id, "wait", "timelock")
        mints.anvil.ask("evm_increaseTime", 10)
        result = await wait_for(mints.client, operation_id, patience_s=30)
        governor = Governor(web3.rpc, await web3.contract("NexusGovernor"))
        assert str(await governor.state(number)) == "executed"
        status = await mints.status(operation_id)
    assert result["outcome"] == "executed"
    assert result["tx_hash"].startswith("0x")
    assert [step.state for step in status.steps] == ["completed"] * 4


async def test_proposal__whose_action_reverts__ends_as_a_clear_conflict(mints: Mints) -> None:
    async with mints.workers() as web3:
        media = await web3.media()
        number = await _passed(mints, web3, Action(media.address, media.mint("0x" + "5b" * 20, 5)))
        operation_id = await start_proposal(mints.client, mints.settings, number)
        await mints.said(operation_id, "wait", "timelock")
        mints.anvil.ask("evm_increaseTime", 10)
        with pytest.raises(NexusError, match="reverts") as refused:
            await wait_for(mints.client, operation_id, patience_s=30)
    assert refused.value.category is Category.CONFLICT


async def test_proposal__unknown__is_a_clear_error(mints: Mints) -> None:
    async with mints.workers():
        operation_id = await start_proposal(mints.client, mints.settings, 12345)
        with pytest.raises(NexusError) as refused:
            await wait_for(mints.client, operation_id, patience_s=30)
    assert refused.value.category in {Category.CONFLICT, Category.NOT_FOUND}
