"""Chain and IPFS node: the head, what is final, which endpoints answer; what is stored.

Belongs here: one short look at each. Does not belong here: transactions (the worker shows those that it works on).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from nexus.errors import unavailable
from nexus.exporter.stores import gauge
from nexus.runtime.probes import NotReadyError, http
from nexus.settings import Settings

WITHIN_S = 2.0
_OPEN = "select state, count(*) from nexus_web3.transactions where state in ('reserved', 'signed', 'sent', 'mined') group by 1"
_POOR = "select count(*) from nexus_web3.signers where needs_wei is not null and state <> 'retired'"
_STATES = ("reserved", "signed", "sent", "mined")


class Chain:
    """Each endpoint by its place in the settings: its URL may hold a key."""

    name = "chain"

    def __init__(self, settings: Settings) -> None:
        self._urls = [url.get_secret_value() for url in settings.web3.rpc_urls]

    def read(self) -> Iterator[Metric]:
        """The newest head, the final block, endpoints that answer."""
        up = GaugeMetricFamily("nexus_chain_endpoint_up", "Whether an endpoint answers.", labels=("endpoint",))
        heads, finals = [], []
        for place, url in enumerate(self._urls):
            head, final = _block(url, "latest"), _block(url, "finalized")
            up.add_metric((str(place),), float(head is not None))
            heads += [] if head is None else [head]
            finals += [] if final is None else [final]
        if not heads:
            raise unavailable("no endpoint of the chain answers", remedy="see bin/nexus status")
        yield up
        yield gauge("nexus_chain_head_block", "Newest block that an endpoint knows.", max(heads))
        if finals:
            yield gauge("nexus_chain_finalized_block", "Newest block that is tagged as final.", max(finals))


def _block(url: str, tag: str) -> int | None:
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": [tag, False]}
    try:
        found = (http(url, body=question, timeout_s=WITHIN_S) or {}).get("result") or {}
        return int(found["number"], 16)
    except (NotReadyError, KeyError, TypeError, ValueError):
        return None


class Lanes:
    """Transactions under way and signers without coins, from Postgres."""

    name = "transactions"

    def __init__(self, settings: Settings) -> None:
        self._url = settings.postgres.role_url("worker", driver="")

    def read(self) -> Iterator[Metric]:
        """Counts."""
        import psycopg

        options = f"-c statement_timeout={int(WITHIN_S * 1000)}"
        with psycopg.connect(self._url, connect_timeout=int(WITHIN_S), options=options, autocommit=True) as connection:
            found: dict[str, Any] = dict(connection.execute(_OPEN).fetchall())
            poor = connection.execute(_POOR).fetchone()
        family = GaugeMetricFamily("nexus_transactions_open", "Transactions under way.", labels=("outcome",))
        for state in _STATES:
            family.add_metric((state,), float(found.get(state, 0)))
        yield family
        yield gauge("nexus_signers_unfunded", "Signers that lack coins.", poor[0] if poor else 0)


class Ipfs:
    """Asked through its RPC."""

    name = "ipfs"

    def __init__(self, url: str) -> None:
        self._base = f"{url.rstrip('/')}/api/v0"

    def read(self) -> Iterator[Metric]:
        """What is stored, and how many nodes it is connected to."""
        held = http(f"{self._base}/repo/stat?size-only=true", body={}, timeout_s=WITHIN_S) or {}
        peers = (http(f"{self._base}/swarm/peers", body={}, timeout_s=WITHIN_S) or {}).get("Peers") or []
        yield gauge("nexus_ipfs_repo_bytes", "Size of the IPFS node's store.", float(held.get("RepoSize", 0)))
        yield gauge("nexus_ipfs_peers", "IPFS nodes that ours is connected to.", len(peers))
