"""Pins at our node and at a service with a real node of its own; the service misbehaves when told to."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.client.ipfs.node import Ipfs
from contracts.client.ipfs.pinning_api import PinningService
from contracts.client.ipfs.pins import Pin, PinServices
from nexus.errors import Category, NexusError
from nexus.settings import PinService
from tests.contracts.ipfs.nodes import Node

pytestmark = pytest.mark.integration
TOKEN = "a-token-of-tests"
SCRIPT = Path(__file__).with_name("pinning_adapter.py")


class Adapter:
    """The service's process, and what it is told to do wrong."""

    def __init__(self, url: str) -> None:
        self.url = url

    def faults(self, *faults: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/faults", json=list(faults), timeout=5, trust_env=False).raise_for_status()

    def facts(self) -> dict[str, int]:
        return dict(httpx.get(f"{self.url}/faults", timeout=5, trust_env=False).json())


@pytest.fixture(scope="module")
def process(second_kubo: Node) -> Iterator[Adapter]:
    words = [sys.executable, str(SCRIPT), "--node", second_kubo.url, "--token", TOKEN]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield Adapter(f"http://127.0.0.1:{running.stdout.readline().strip()}")
        running.kill()


@pytest.fixture
def adapter(process: Adapter) -> Iterator[Adapter]:
    process.faults()
    yield process
    process.faults()


def _settings(adapter: Adapter, second: Node | None = None, **changes: Any) -> PinService:
    gateway = second.gateway if second is not None else None
    return PinService(**({"name": "friend", "url": adapter.url, "token": TOKEN, "gateway_url": gateway} | changes))


@pytest.fixture
async def node(kubo: Node) -> AsyncIterator[Ipfs]:
    async with Ipfs(kubo.url, timeout_s=20) as found:
        yield found


@pytest.fixture
async def services(node: Ipfs, adapter: Adapter, second_kubo: Node) -> AsyncIterator[PinServices]:
    async with PinServices(node, [_settings(adapter, second_kubo)]) as found:
        yield found


@pytest.fixture
async def service(adapter: Adapter) -> AsyncIterator[PinningService]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield PinningService(_settings(adapter), http, tries=3, pause_s=0.01, timeout_s=10)


async def test_pin__at_two_places__both_have_every_block(node: Ipfs, services: PinServices, second_kubo: Node) -> None:
    added = await node.add(os.urandom(2_500_000), is_pinned=False)
    told: list[int] = []
    pins = await services.pin(
        added.cid, 2, lambda now: told.append(sum(one.status == "pinned" for one in now)), name="a film"
    )
    assert {pin.service: pin.status for pin in pins} == {"node": "pinned", "friend": "pinned"}
    assert told[-1] == 2
    async with Ipfs(second_kubo.url) as other:
        assert await other.is_pinned(added.cid)
    found = await services.health(added.cid, chance=random.Random(1))  # noqa: S311
    assert [one.is_well for one in found] == [True, True]


async def test_pin__the_same_again__is_one_pin_at_the_service(
    node: Ipfs, services: PinServices, adapter: Adapter
) -> None:
    cid = await node.add_block(os.urandom(100))
    first = await services.pin(cid, 2)
    posts = adapter.facts()["posts"]
    assert await services.pin(cid, 2) == first
    assert adapter.facts()["posts"] == posts


@pytest.mark.parametrize(
    "faults",
    [
        [{"status": 429, "retry_after": "0"}, {"status": 503}],
        [{"html": True}],
        [{"status": 500, "method": "POST"}, {"status": 502, "method": "POST"}],
        [{"html": True, "method": "POST"}],
        [{"drop": True, "method": "POST"}],
        [{"drop": True}],
    ],
    ids=lambda faults: "+".join("-".join(map(str, fault.values())) for fault in faults),
)
async def test_pin__a_service_that_stumbles__is_asked_again_and_pins_once(
    faults: list[dict[str, Any]], node: Ipfs, service: PinningService, adapter: Adapter
) -> None:
    cid = await node.add_block(os.urandom(100))
    posts = adapter.facts()["posts"]
    adapter.faults(*faults)
    pin = await service.pin(cid, origins=(await node.id()).addresses)
    assert pin.status in ("queued", "pinning", "pinned")
    assert adapter.facts() == {"posts": posts + 1, "left": 0, "pins": adapter.facts()["pins"]}
    assert await service.unpin(cid) == 1
    assert await service.find(cid) is None


async def test_pin__a_wrong_token__is_said_at_once(adapter: Adapter, node: Ipfs) -> None:
    cid = await node.add_block(b"for nobody")
    async with httpx.AsyncClient(trust_env=False) as http:
        service = PinningService(_settings(adapter, token="another"), http, tries=5, pause_s=30)
        with pytest.raises(NexusError, match="refuses our token") as caught:
            await service.pin(cid)
    assert caught.value.category is Category.FORBIDDEN
    assert "another" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "category"),
    [({"status": 400}, Category.INVALID), ({"status": 409}, Category.INVALID), ({"status": 503}, Category.UNAVAILABLE)],
)
async def test_pin__a_service_that_goes_on_refusing__is_an_error_with_its_kind(
    fault: dict[str, Any], category: Category, service: PinningService, adapter: Adapter, node: Ipfs
) -> None:
    adapter.faults(*[fault] * 9)
    with pytest.raises(NexusError) as caught:
        await service.pin(await node.add_block(b"refused"))
    assert caught.value.category is category


async def test_list__more_than_a_page__gives_each_pin_once(service: PinningService, node: Ipfs) -> None:
    cids = [await node.add_block(f"page {number}".encode()) for number in range(17)]
    for cid in cids:
        await service.pin(cid)
    listed = [pin.cid async for pin in service.list()]
    assert set(cids) <= set(listed)
    assert len(listed) == len(set(listed))


async def test_pin__one_place_is_away__enough_others_are_enough(node: Ipfs, adapter: Adapter) -> None:
    cid = await node.add_block(b"with one away")
    away = PinService(name="away", url="http://127.0.0.1:9", token="x")
    async with PinServices(node, [_settings(adapter), away]) as services:
        pins = await services.pin(cid, 2)
    states = {pin.service: pin.status for pin in pins}
    assert states["node"] == states["friend"] == "pinned"
    assert states["away"] is None


async def test_pin__too_few_in_time__says_what_each_place_said(node: Ipfs, adapter: Adapter) -> None:
    cid = await node.add_block(os.urandom(50))
    adapter.faults({"slow": True, "method": "POST"})
    async with PinServices(node, [_settings(adapter)]) as services:
        with pytest.raises(NexusError, match="pinned at 1 of 2 places: node: pinned; friend: queued") as caught:
            await services.pin(cid, 2, wait_s=1.0)
    assert caught.value.retryable


async def test_pin__a_pin_that_failed__is_asked_for_anew(node: Ipfs, services: PinServices, adapter: Adapter) -> None:
    cid = await node.add_block(os.urandom(60))
    adapter.faults({"fail": True, "method": "POST"})
    with pytest.raises(NexusError, match="could not pin it"):
        await services.pin(cid, 2)
    assert (await services.pin(cid, 2))[1].status == "pinned"


async def test_health__a_service_that_lies__is_not_well(node: Ipfs, services: PinServices, adapter: Adapter) -> None:
    added = await node.add(os.urandom(1_500_000))
    adapter.faults({"lie": True, "method": "POST"})
    assert (await services.pin(added.cid, 2))[1].status == "pinned"
    ours, theirs = await services.health(added.cid)
    assert ours.is_well
    assert (theirs.status, theirs.is_verified) == ("pinned", False)


async def test_health__without_a_gateway__is_not_taken_for_verified(node: Ipfs, adapter: Adapter) -> None:
    cid = await node.add_block(b"without a gateway")
    async with PinServices(node, [_settings(adapter)]) as services:
        await services.pin(cid, 2)
        _, theirs = await services.health(cid)
    assert (theirs.status, theirs.is_verified, theirs.is_well) == ("pinned", None, False)


async def test_unpin__everywhere__is_forgotten(node: Ipfs, services: PinServices, second_kubo: Node) -> None:
    cid = await node.add_block(os.urandom(70))
    await services.pin(cid, 2)
    await services.unpin(cid)
    assert not await node.is_pinned(cid)
    assert [(one.status, one.is_well) for one in await services.health(cid)] == [(None, False)] * 2
    async with Ipfs(second_kubo.url) as other:
        assert not await other.is_pinned(cid)


async def test_pin__more_than_there_are_places__is_refused(services: PinServices) -> None:
    for k in (0, 3):
        with pytest.raises(NexusError, match="there are 2 places"):
            await services.pin("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", k)


def test_services__of_one_name__are_refused(adapter: Adapter) -> None:
    with pytest.raises(NexusError, match="the same name"):
        PinServices(None, [_settings(adapter), _settings(adapter)])


def test_pin__shown__hides_nothing_but_the_token(adapter: Adapter) -> None:
    assert TOKEN not in repr(_settings(adapter)) + repr(Pin("friend", "pinned", "1"))
