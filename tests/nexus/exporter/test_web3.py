"""Figures of chain and IPFS node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nexus.errors import NexusError
from nexus.exporter import web3
from nexus.exporter.collect import sources
from nexus.exporter.web3 import Chain, Ipfs, Lanes
from nexus.runtime.probes import NotReadyError
from nexus.settings import Settings, Web3Settings, load


def _settings(*urls: str) -> Settings:
    return Settings(web3=Web3Settings(enabled=True, rpc_urls=urls, ipfs_url="http://127.0.0.1:5001"))  # type: ignore[arg-type]


def _values(metrics: Iterator[Any]) -> dict[str, list[float]]:
    return {metric.name: [sample.value for sample in metric.samples] for metric in metrics}


@pytest.mark.unit
def test_chain__one_of_two_endpoints_answers__shows_both_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def http(url: str, *, body: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "away" in url:
            raise NotReadyError("away")
        return {"result": {"number": hex(100 if body["params"][0] == "latest" else 90)}}

    monkeypatch.setattr(web3, "http", http)
    found = list(Chain(_settings("https://a.example/KEY", "https://away.example/KEY")).read())
    assert _values(iter(found)) == {
        "nexus_chain_endpoint_up": [1.0, 0.0],
        "nexus_chain_head_block": [100.0],
        "nexus_chain_finalized_block": [90.0],
    }
    assert "KEY" not in str(found)


@pytest.mark.unit
@pytest.mark.parametrize("answer", [{}, {"result": None}, {"result": {"number": "x"}}, None, {"error": {}}])
def test_chain__no_endpoint_makes_sense__is_down(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(web3, "http", lambda _url, **_: answer)
    with pytest.raises(NexusError):
        list(Chain(_settings("https://a.example")).read())


@pytest.mark.unit
def test_ipfs__node_answers__shows_store_and_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web3, "http", lambda url, **_: {"RepoSize": 7} if "repo" in url else {"Peers": None})
    assert _values(iter(list(Ipfs("http://127.0.0.1:5001/").read()))) == {
        "nexus_ipfs_repo_bytes": [7.0],
        "nexus_ipfs_peers": [0.0],
    }


@pytest.mark.unit
def test_sources__web3_is_off__are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_POSTGRES__URL", "postgresql://o:p@127.0.0.1:1/nexus")
    monkeypatch.setenv("NEXUS_POSTGRES__ROLE_PASSWORDS", json.dumps({"worker": "w"}))
    monkeypatch.setenv("NEXUS_REDIS__URL", "redis://127.0.0.1:1")
    assert not {"chain", "ipfs", "transactions"} & {source.name for source in sources(load())}
    monkeypatch.setenv("NEXUS_WEB3__ENABLED", "true")
    monkeypatch.setenv("NEXUS_WEB3__RPC_URLS", '["http://127.0.0.1:1"]')
    assert {"chain", "transactions"} <= {source.name for source in sources(load())}


@pytest.mark.integration
def test_lanes__fresh_database__shows_every_state(settings: Settings) -> None:
    found = {metric.name: metric for metric in Lanes(settings).read()}
    labels = {sample.labels["outcome"] for sample in found["nexus_transactions_open"].samples}
    assert labels == {"reserved", "signed", "sent", "mined"}
    assert len(found["nexus_signers_unfunded"].samples) == 1
