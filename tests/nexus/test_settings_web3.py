"""Settings of chain, IPFS and keys that contradict each other, each named with its field."""

from __future__ import annotations

import json

import pytest

from nexus.errors import NexusError
from nexus.settings import load

pytestmark = pytest.mark.unit
URL = "https://eth.example/v2/SECRET"
ADDRESS = "0x" + "12" * 20
SERVICE = {"name": "one", "url": "https://pins.example", "token": "T"}


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"CHAIN": "sepolia"}, "web3.rpc_urls"),
        ({"CHAIN": "dogecoin", "RPC_URLS": json.dumps([URL])}, "web3.chain"),
        ({"RPC_URLS": json.dumps(["ftp://x"])}, "web3.rpc_urls"),
        ({"RPC_URLS": json.dumps(["https://"])}, "web3.rpc_urls"),
        ({"RPC_URLS": json.dumps(["http://h:99999"])}, "web3.rpc_urls"),
        ({"GATEWAYS": json.dumps(["dweb.link"])}, "web3.gateways"),
        ({"IPFS_URL": "127.0.0.1:5001"}, "web3.ipfs_url"),
        ({"PINS_REQUIRED": "2"}, "web3.pins_required"),
        ({"PINS_REQUIRED": "0"}, "web3.pins_required"),
        ({"PIN_SERVICES": json.dumps([SERVICE, SERVICE])}, "web3.pin_services"),
        ({"PIN_SERVICES": json.dumps([SERVICE | {"url": "pins"}])}, "web3.pin_services"),
        ({"ROYALTY_BPS": "10001"}, "web3.royalty_bps"),
        ({"ROYALTY_BPS": "-1"}, "web3.royalty_bps"),
        ({"TREASURY": "0x12"}, "web3.treasury"),
        ({"TREASURY": "0x" + "0" * 40}, "web3.treasury"),
        ({"MEDIA_CONTRACT": ADDRESS + "00"}, "web3.media_contract"),
        ({"SIGNER_URL": "https://kms.example"}, "web3.signer_token"),
        ({"SIGNER_TOKEN": "T"}, "web3.signer_url"),
        ({"DOMAIN": "https://nexus.example/"}, "web3.domain"),
        ({"FINALITY_DEPTH": "0"}, "web3.finality_depth"),
        ({"MAX_FEE_GWEI": "0"}, "web3.max_fee_gwei"),
        ({"LANES": "0"}, "web3.lanes"),
        ({"CHAIN_PORT": "15001", "IPFS_PORT": "15001"}, "web3.ipfs_port"),
    ],
    ids=str,
)
def test_load__one_thing_wrong__is_named_and_keys_stay_hidden(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], field: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"NEXUS_WEB3__{name}", value)
    with pytest.raises(NexusError) as caught:
        load()
    named = [problem["field"] for problem in caught.value.evidence["problems"]]
    assert any(one == field or one.startswith(f"{field}.") for one in named)
    assert "SECRET" not in str(caught.value)


def test_load__cluster_without_servers__needs_each() -> None:
    with pytest.raises(NexusError) as caught:
        load(profile="cluster", web3={"enabled": True})
    named = {problem["field"] for problem in caught.value.evidence["problems"]}
    assert {"web3.rpc_urls", "web3.ipfs_url", "keys.password"} <= named


def test_load__chain_of_others_with_everything__is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CHAIN": "polygon",
        "RPC_URLS": json.dumps([URL, "https://other.example"]),
        "PIN_SERVICES": json.dumps([SERVICE]),
        "PINS_REQUIRED": "2",
        "TREASURY": ADDRESS,
        "SIGNER_URL": "https://kms.example",
        "SIGNER_TOKEN": "T",
        "DOMAIN": "nexus.example:8443",
        "ROYALTY_BPS": "10000",
    }.items():
        monkeypatch.setenv(f"NEXUS_WEB3__{name}", value)
    web3 = load().web3
    assert len(web3.rpc_urls) == 2
    assert "SECRET" not in repr(web3)
