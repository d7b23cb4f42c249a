"""A real node, the real contract, the real lake: the table of tokens is what the chain says, whatever happens to either."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from contracts.client.chains import CHAINS
from contracts.client.ipfs.cids import cid_of_token
from contracts.client.logs import proofs
from contracts.client.logs.audit import Audit, Tokens, compared
from contracts.client.logs.events import decoded
from contracts.client.logs.journal import TABLE, LakeJournal
from contracts.client.logs.values import header
from contracts.client.rpc.pool import Rpc
from contracts.devnode import DevNode, running
from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake
from nexus.lake.transforms import chain as rules
from nexus.runtime.command import Command
from nexus.settings import ROOT
from tests.conftest import _free_ports, _http_answers, _running
from tests.contracts.faulty_rpc import MIX
from tests.contracts.logs.anvil import CHAIN, MediaNode
from tests.contracts.logs.fake import KilledError

pytestmark = pytest.mark.integration
SEED = 2


def tokens(lake: Lake) -> dict[int, tuple[str | None, int]]:
    """Token -> owner and transfers, by the whole way from raw to marts."""
    return {int(row["token_id"]): (row["owner"], row["transfers"]) for row in _marts(lake).iter_rows(named=True)}


def _transfers(lake: Lake) -> pl.DataFrame:
    return rules.transfers(rules.events(pl.DataFrame(lake.read(TABLE)), decoded))


def _marts(lake: Lake) -> pl.DataFrame:
    return rules.tokens(_transfers(lake), cid_of_token)


def audited(media: MediaNode, lake: Lake) -> Audit:
    blocks = _transfers(lake).group_by("block_number").len()
    table = Tokens(
        media.address, {token: owner for token, (owner, _) in tokens(lake).items()}, dict(blocks.iter_rows())
    )
    return asyncio.run(_audited(media, lake, table))


async def _audited(media: MediaNode, lake: Lake, table: Tokens) -> Audit:
    state = LakeJournal(lake, CHAIN.chain_id).state()
    assert state is not None
    async with Rpc([media.node.url], CHAIN) as rpc:
        return await compared(rpc, table, state)


def test_follow__mints_transfers_and_a_reorganisation__is_the_chain_after_each(own_anvil: DevNode, lake: Lake) -> None:
    media = MediaNode.on(own_anvil)
    one, other = (account.lower() for account in own_anvil.accounts[:2])
    media.mint(1, 2, 3)
    media.transfer(2, to=1)
    first = media.follow(lake)
    assert first.omitted == first.unproven == first.orphaned == 0
    assert tokens(lake) == {1: (one, 1), 2: (other, 2), 3: (one, 1)}
    media.reorganise(2)  # the transfer and token 3
    media.mint(4)
    second = media.follow(lake)
    assert (second.rows, second.orphaned) == (1, 2)
    assert tokens(lake) == {1: (one, 1), 2: (one, 1), 4: (one, 1)}
    assert audited(media, lake).differing == []
    media.mint(3)
    third = media.follow(lake)
    assert (third.rows, third.orphaned, third.forks) == (1, 0, [])
    assert audited(media, lake) == Audit(block=own_anvil_block(own_anvil), tokens=4, owners=1, transfers=4)
    assert media.follow(lake).commits == 0
    assert pl.DataFrame(lake.read(TABLE))["kind"].value_counts().sort("kind").rows() == [
        ("load", third.commits + second.commits + first.commits),
        ("log", first.rows + 2),
        ("orphaned", 2),
    ]


def own_anvil_block(node: DevNode) -> int:
    return int(node.call("eth_blockNumber"), 16)


def test_audit__a_table_that_lost_and_invented_rows__names_each(own_anvil: DevNode, lake: Lake) -> None:
    media = MediaNode.on(own_anvil)
    me = own_anvil.accounts[0].lower()
    media.mint(1, 2)
    media.follow(lake)
    done = asyncio.run(_audited(media, lake, Tokens(media.address, {1: me, 9: me, 8: None}, {3: 1})))
    assert done.differing == [
        {"token_id": "9", "table": me, "chain": None},
        {"transfers": 1, "chain": 2},
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_follow__killed_around_a_commit__has_each_log_once(
    own_anvil: DevNode, lake: Lake, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    media = MediaNode.on(own_anvil)
    media.mint(1, 2)
    write = lake.write

    def dies(*words: Any, **more: Any) -> None:
        if when == "after":
            write(*words, **more)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(lake, "write", dies)
        with pytest.raises(KilledError):
            media.follow(lake)
    media.mint(3)
    media.follow(lake)
    assert sorted(tokens(lake)) == [1, 2, 3]
    logs = pl.DataFrame(lake.read(TABLE)).filter(pl.col("kind") == "log")
    assert logs.height == logs.unique(["block_hash", "log_index"]).height
    assert audited(media, lake).differing == []


def test_follow__a_chain_restarted_empty__begins_a_new_life(own_anvil: DevNode, lake: Lake) -> None:
    before = MediaNode.on(own_anvil)
    before.mint(1, 2)
    rows = before.follow(lake).rows
    with running(words=["--timestamp", "1900000000"]) as node:
        after = MediaNode.on(node)
        after.mint(7)
        done = after.follow(lake)
        assert done.previous_life is not None
        assert sorted(tokens(lake)) == [7]
        assert lake.count(TABLE) == (rows + 1) + (done.rows + 1)


def test_follow__a_node_restarted_from_its_state_twice__goes_on(own_anvil: DevNode, lake: Lake) -> None:
    media = MediaNode.on(own_anvil)
    media.mint(1, 2)
    state = own_anvil.call("anvil_dumpState", [True])
    media.mint(3)
    media.follow(lake)
    with running() as node:
        node.call("anvil_loadState", [state])
        again = MediaNode(node, media.address)
        done = again.follow(lake)
        assert (done.orphaned, done.previous_life) == (1, None)
        assert sorted(tokens(lake)) == [1, 2]
        again.mint(4)
        state = node.call("anvil_dumpState", [True])
    for _ in range(3):  # which first block it shows is chance
        with running() as node:
            node.call("anvil_loadState", [state])
            again = MediaNode(node, media.address)
            assert again.follow(lake).previous_life is None
            assert sorted(tokens(lake)) == [1, 2, 4]
            assert audited(again, lake).differing == []


def test_proofs__a_block_of_many_transactions__hashes_to_its_heads_root(own_anvil: DevNode) -> None:
    media = MediaNode.on(own_anvil)
    own_anvil.call("evm_setAutomine", [False])
    own_anvil.call("anvil_autoImpersonateAccount", [True])
    for number in range(140):  # more than 127: their places are longer keys of the tree
        sender = f"0x{number + 1:040x}"
        own_anvil.call("anvil_setBalance", [sender, hex(10**18)])
        fee = {"gasPrice": hex(3 * 10**9)} if number % 3 else {"maxFeePerGas": hex(3 * 10**9)}
        own_anvil.call("eth_sendTransaction", [{"from": sender, "to": media.address, "gas": hex(60_000), **fee}])
    own_anvil.call("evm_mine")
    said = own_anvil.call("eth_getBlockByNumber", ["latest", False])
    receipts = own_anvil.call("eth_getBlockReceipts", [said["hash"]])
    assert len(receipts) == 140
    proofs.check_header(header(said))
    proofs.check_receipts(header(said), receipts)


def test_chains__the_number_of_the_node__is_that_of_the_settings(own_anvil: DevNode) -> None:
    assert int(own_anvil.call("eth_chainId"), 16) == CHAINS["anvil"].chain_id


def test_follow__through_a_proxy_that_misbehaves__is_the_chain_in_the_end(
    own_anvil: DevNode, lake: Lake, tmp_path: Path
) -> None:
    media = MediaNode.on(own_anvil)
    rates = {fault: 3 * rate for fault, rate in MIX.items() if fault != "hang"}
    with misbehaving(own_anvil.url, rates, SEED, tmp_path) as url:
        for first in range(0, 40, 10):
            media.mint(*range(first, first + 10))
            patiently(media, lake, url)
            media.reorganise(3)
    media.mint(1_000)
    media.follow(lake)
    assert len(tokens(lake)) == 40 - 4 * 3 + 1
    assert audited(media, lake).differing == []
    logs = pl.DataFrame(lake.read(TABLE)).filter(pl.col("kind") == "log")
    assert logs.height == logs.unique(["block_hash", "log_index"]).height


def patiently(media: MediaNode, lake: Lake, url: str) -> None:
    """Read until a run gets through, as the sensor would."""
    for _ in range(20):
        try:
            media.follow(lake, url)
        except NexusError as error:
            if error.category is not Category.UNAVAILABLE:
                raise
        else:
            return
    pytest.fail("no run of twenty got through")


@contextmanager
def misbehaving(upstream: str, rates: dict[str, float], seed: int, folder: Path) -> Iterator[str]:
    """The URL of a faulty door before a node: a process of its own."""
    (port,) = _free_ports(1)
    words = ("--upstream", upstream, "--port", str(port), "--seed", str(seed), "--rates", json.dumps(rates))
    command = Command((sys.executable, str(ROOT / "tests" / "contracts" / "faulty_rpc.py"), *words), cwd=str(ROOT))
    url = f"http://127.0.0.1:{port}"
    with _running(command, folder / "proxy.log", lambda: _http_answers(f"{url}/faults")):
        yield url
