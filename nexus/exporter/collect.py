"""Figures of parts that show none themselves: asked for when Prometheus asks, remembered for a while, never an error.

Belongs here: what a source is, the collector over all of them, serving them. Does not belong here: any one source.
A label's values come from our code or from a server's own small catalogue, never from a person, a title or an id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric

from nexus import logs
from nexus.settings import Settings

KEEP_S = 10.0
MOST_SERIES = 300
"""Of one source: more means that something is a label which should not be one."""
_LOG = logs.get(__name__)


class Source(Protocol):
    """One part that is asked for figures."""

    name: str

    def read(self) -> Iterable[Metric]:
        """Ask; whatever it raises means that the part is away."""
        ...


@dataclass(slots=True)
class _Kept:
    at: float = float("-inf")
    seconds: float = 0.0
    is_up: bool = False
    families: list[Metric] = field(default_factory=list)


class Platform:
    """A Prometheus collector over sources; one that fails is shown as down, and the others as they are."""

    def __init__(self, sources: Sequence[Source], *, keep_s: float = KEEP_S) -> None:
        self._sources = sources
        self._keep_s = keep_s
        self._kept = {source.name: _Kept() for source in sources}
        self._lock = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not ask anybody."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The figures of every source, and how the asking went."""
        up = GaugeMetricFamily("nexus_exporter_source_up", "Whether a part gave its figures.", labels=("source",))
        took = GaugeMetricFamily("nexus_exporter_source_seconds", "Time that asking took.", labels=("source",))
        with self._lock:
            for source in self._sources:
                kept = self._kept[source.name]
                if monotonic() - kept.at >= self._keep_s:
                    self._ask(source, kept)
                up.add_metric((source.name,), float(kept.is_up))
                took.add_metric((source.name,), kept.seconds)
                yield from kept.families
        yield up
        yield took

    def _ask(self, source: Source, kept: _Kept) -> None:
        began = monotonic()
        was_up, kept.families = kept.is_up, []
        try:
            families = list(source.read())
            kept.families = families if sum(len(one.samples) for one in families) <= MOST_SERIES else []
            kept.is_up = bool(kept.families)
        except Exception as error:  # each source has its own errors; none may hide the others  # noqa: BLE001
            kept.is_up = False
            if was_up or kept.at == float("-inf"):
                _LOG.warning("figures_missing", source=source.name, cause=type(error).__name__, reason=str(error)[:200])
        kept.at = monotonic()
        kept.seconds = kept.at - began


def sources(settings: Settings) -> list[Source]:
    """Every source of this installation."""
    from nexus.exporter.dagster import Dagster
    from nexus.exporter.machine import Disk, Parts
    from nexus.exporter.stores import Postgres, Redis

    found: list[Source] = [Postgres(settings), Redis(settings), Disk(settings.home)]
    if settings.dagster.url:
        found.append(Dagster(settings.dagster.url))
    if settings.web3.enabled:
        from nexus.exporter.web3 import Chain, Ipfs, Lanes

        found.append(Lanes(settings))
        found += [Chain(settings)] if settings.web3.rpc_urls else []
        found += [Ipfs(settings.web3.ipfs_url)] if settings.web3.ipfs_url else []
    if (settings.home / "run" / "supervisord.conf").exists():
        found.append(Parts(settings.home))
    return found


def serve(settings: Settings, registry: CollectorRegistry) -> None:
    """Show a registry, and the platform's figures with it, at ``telemetry.metrics_port``; from a thread of its own.

    Raises:
        OSError: The port is taken.
    """
    registry.register(Platform(sources(settings)))
    start_http_server(settings.telemetry.metrics_port, addr=settings.telemetry.metrics_host, registry=registry)
