"""The same plan has the same addresses, and a deployment can be asked for again at any point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.client import deploy
from contracts.client.artifacts import load
from contracts.client.media import Media
from contracts.client.splitter import Payee
from contracts.devnode import DevNode
from nexus.errors import Category, NexusError
from tests.contracts.house import RULES, ZERO
from tests.contracts.nodes import AsyncNode

pytestmark = pytest.mark.integration


@pytest.fixture
def plan(chain: DevNode) -> deploy.Plan:
    return deploy.Plan(admin=chain.accounts[0], treasury=chain.accounts[1], rules=RULES)


@pytest.fixture
def steps(plan: deploy.Plan, chain: DevNode) -> list[deploy.Step]:
    return deploy.deploy_transactions(plan) + deploy.role_transactions(plan, chain.accounts[2:4], chain.accounts[4:6])


async def test_deployment__broken_off_anywhere__goes_on_where_it_stopped(
    chain: DevNode, rpc: AsyncNode, plan: deploy.Plan, steps: list[deploy.Step]
) -> None:
    await deploy.require_deployer(rpc)
    for done, step in enumerate(steps):
        if done % 4 == 0:
            assert await deploy.pending(rpc, steps) == steps[done:]
        chain.send(step.to, step.data, sender=plan.admin)
    assert await deploy.pending(rpc, steps) == []
    assert len({step.name for step in steps}) == len(steps)

    media = Media(rpc, deploy.addresses(plan)[deploy.MEDIA])
    assert [await media.is_minter(account) for account in chain.accounts[1:5]] == [False, True, True, False]
    await deploy.require_media(rpc, media.address)


async def test_handover__done__is_known_to_be_done(
    chain: DevNode, rpc: AsyncNode, plan: deploy.Plan, steps: list[deploy.Step]
) -> None:
    handover = deploy.handover_transactions(plan)
    for step in steps:
        chain.send(step.to, step.data, sender=plan.admin)
    assert await deploy.pending(rpc, handover) == handover
    for step in handover:
        chain.send(step.to, step.data, sender=plan.admin)
    assert await deploy.pending(rpc, handover) == []


async def test_revocation__before_and_after__is_a_step_too(
    chain: DevNode, rpc: AsyncNode, plan: deploy.Plan, steps: list[deploy.Step]
) -> None:
    for step in steps:
        chain.send(step.to, step.data, sender=plan.admin)
    media, minter = deploy.addresses(plan)[deploy.MEDIA], chain.accounts[2]
    step = deploy.grant_transaction(deploy.MEDIA, media, "MINTER_ROLE", minter, is_wanted=False)
    assert not await deploy.is_done(rpc, step)
    chain.send(step.to, step.data, sender=plan.admin)
    assert await deploy.is_done(rpc, step)


def test_deployment__on_the_chain__is_the_committed_code(chain: DevNode, plan: deploy.Plan) -> None:
    for step in deploy.deploy_transactions(plan):
        chain.send(step.to, step.data, sender=chain.accounts[9])
    where = deploy.addresses(plan)
    code = bytes.fromhex(chain.call("eth_getCode", [where[deploy.PARAMETERS], "latest"])[2:])
    assert code == load(deploy.PARAMETERS).deployed_bytecode
    for name, address in where.items():
        code = bytes.fromhex(chain.call("eth_getCode", [address, "latest"])[2:])
        assert len(code) == len(load(name).deployed_bytecode) <= 24_576


async def test_chain__without_the_deployer__is_refused_with_a_remedy(chain: DevNode, rpc: AsyncNode) -> None:
    chain.call("anvil_setCode", [deploy.DEPLOYER, "0x"])
    with pytest.raises(NexusError) as caught:
        await deploy.require_deployer(rpc)
    assert caught.value.category is Category.UNAVAILABLE
    assert "web3.media_contract" in (caught.value.remedy or "")


@pytest.mark.parametrize("what", ["nobody", "another contract"])
async def test_media_contract__of_another_kind__is_refused(chain: DevNode, rpc: AsyncNode, what: str) -> None:
    address = chain.accounts[3] if what == "nobody" else deploy.DEPLOYER
    with pytest.raises(NexusError) as caught:
        await deploy.require_media(rpc, address)
    assert caught.value.field == "web3.media_contract"


def test_addresses__of_plans_that_differ__differ(plan: deploy.Plan) -> None:
    where = deploy.addresses(plan)
    assert deploy.addresses(replace(plan, rules=RULES)) == where
    assert deploy.addresses(replace(plan, royalty_bps=1))[deploy.MEDIA] != where[deploy.MEDIA]
    assert not set(deploy.addresses(replace(plan, salt=b"\1" * 32)).values()) & set(where.values())


@pytest.mark.parametrize(
    "change",
    [
        {"admin": ZERO},
        {"treasury": ZERO},
        {"admin": "0x12"},
        {"royalty_bps": 10_001},
        {"royalty_bps": -1},
        {"salt": b""},
        {"payees": (Payee("0x" + "1" * 40, 0),)},
        {"payees": (Payee("0x" + "1" * 40, 1), Payee("0x" + "1" * 40, 1))},
        {"payees": (Payee(ZERO, 1),)},
    ],
    ids=str,
)
def test_plan__that_is_wrong__is_refused_before_anything_is_sent(plan: deploy.Plan, change: dict[str, object]) -> None:
    with pytest.raises(NexusError) as caught:
        deploy.addresses(replace(plan, **change))  # type: ignore[arg-type]
    assert caught.value.category is Category.INVALID
    assert caught.value.remedy
