"""Chain and IPFS node: the head, what is final, which endpoints answer; what is stored.

Belongs here: one short look at each. Does not belong here: transactions (the worker shows those that it works on).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from nexus.errors import unavailable
from nexus.exporter.stores import gauge
from nexus.runtime.probes import NotReadyError, http
from nexus.settings import Settings

WITHIN_S = 2.0
_OPEN = "select state, count(*) from nexus_web3.transactions where state in ('reserved', 'signed', 'sent', 'mined') group by 1"
_OLDEST = (
    "select coalesce(extract(epoch from now() - min(created_at)), 0)::float from nexus_web3.transactions"
    " where state in ('reserved', 'signed', 'sent', 'mined')"
)
_POOR = "select count(*) from nexus_web3.signers where needs_wei is not null and state <> 'retired'"
_STATES = ("reserved", "signed", "sent", "mined")


class Chain:
    """Each endpoint by its place in the settings: its URL may hold a key."""

    name = "chain"

    def __init__(self, settings: Settings) -> None:
        self._urls = [url.get_secret_value() for url in settings.web3.rpc_urls]

    def read(self) -> Iterator[Metric]:
        """The newest head, the final block, endpoints that answer."""
        blocks = [(_block(url, "latest"), _block(url, "finalized")) for url in self._urls]
        if all(head is None for head, _ in blocks):
            raise unavailable("no endpoint of the chain answers", remedy="see bin/nexus status")
        return families(blocks)


def families(blocks: Sequence[tuple[int | None, int | None]]) -> Iterator[Metric]:
    """The figures of endpoints, by the head and the final block that each names."""
    up = GaugeMetricFamily("nexus_chain_endpoint_up", "Whether an endpoint answers.", labels=("endpoint",))
    for place, (head, _) in enumerate(blocks):
        up.add_metric((str(place),), float(head is not None))
    yield up
    heads = [head for head, _ in blocks if head is not None]
    yield gauge("nexus_chain_head_block", "Newest block that an endpoint knows.", max(heads))
    finals = [final for _, final in blocks if final is not None]
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
            oldest = connection.execute(_OLDEST).fetchone()
            poor = connection.execute(_POOR).fetchone()
        family = GaugeMetricFamily("nexus_transactions_open", "Transactions under way.", labels=("outcome",))
        for state in _STATES:
            family.add_metric((state,), float(found.get(state, 0)))
        yield family
        yield gauge("nexus_transactions_oldest_seconds", "Age of the oldest one under way.", oldest[0] if oldest else 0)
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
