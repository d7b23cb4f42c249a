"""The disk under the state folder, and what the supervisor says of each part.

Belongs here: one look at each. Does not belong here: judging (the rules in deploy/prometheus do).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nexus.errors import unavailable
from nexus.exporter.stores import gauge
from nexus.runtime.home import Home


class Disk:
    """The file system that holds the state folder."""

    name = "disk"

    def __init__(self, home: Path) -> None:
        self._home = home

    def read(self) -> Iterator[Metric]:
        """Its size and what is free."""
        usage = shutil.disk_usage(self._home)
        yield gauge("nexus_disk_size_bytes", "Size of the file system of the state folder.", usage.total)
        yield gauge("nexus_disk_free_bytes", "Free on the file system of the state folder.", usage.free)


class Parts:
    """The embedded parts, by their supervisor."""

    name = "supervisor"

    def __init__(self, home: Path) -> None:
        self._home = Home(home)

    def read(self) -> Iterator[Metric]:
        """Which run, since when, and how often each ended unasked."""
        from nexus.runtime.status import count_restarts
        from nexus.runtime.supervisor import Supervisor

        infos = Supervisor(self._home).all()
        if not infos:
            raise unavailable("the supervisor does not answer", remedy="run bin/nexus up")
        ended = count_restarts(self._home)
        up = GaugeMetricFamily("nexus_part_up", "Whether the part's process runs.", labels=("part",))
        restarts = CounterMetricFamily("nexus_part_restarts", "How often it ended unasked.", labels=("part",))
        started = GaugeMetricFamily("nexus_part_started_timestamp_seconds", "Since when it runs.", labels=("part",))
        for name, info in infos.items():
            if info.state == "STOPPED":  # on purpose, or never started
                continue
            up.add_metric((name,), float(info.state == "RUNNING"))
            restarts.add_metric((name,), ended.get(name, 0))
            if info.state == "RUNNING":
                started.add_metric((name,), info.started_at)
        yield from (up, restarts, started)
