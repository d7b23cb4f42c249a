"""Figures of parts that show none: one that is away hides no other, nobody is asked too often, labels stay few."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from nexus.exporter import collect, dagster, machine
from nexus.exporter.collect import Platform
from nexus.exporter.stores import Postgres, Redis, gauge
from nexus.settings import Settings

ANSWER: dict[str, Any] = {
    "success": {"count": 3},
    "failure": {"count": 1},
    "cancelled": {"count": 0},
    "running": {"__typename": "PythonError"},
    "queued": None,
    "assetNodes": [
        {
            "assetKey": {"path": ["core_nexus__quarantine"]},
            "isMaterializable": True,
            "assetMaterializations": [
                {
                    "timestamp": "1795428000000",
                    "stepStats": {"startTime": 10.0, "endTime": 12.5},
                    "metadataEntries": [
                        {"label": "dagster/row_count", "intValue": 17},
                        {"label": "reasons"},
                        {"label": "table_version", "intValue": 4},
                    ],
                }
            ],
        },
        {"assetKey": {"path": ["never", "made"]}, "isMaterializable": True, "assetMaterializations": []},
    ],
}


class Counted:
    def __init__(self, name: str, families: int = 1, *, error: Exception | None = None) -> None:
        self.name, self.asked, self._families, self._error = name, 0, families, error

    def read(self) -> Iterator[Metric]:
        self.asked += 1
        if self._error is not None:
            raise self._error
        for number in range(self._families):
            yield gauge(f"nexus_{self.name}_{number}", "A figure.", number)


def _text(*sources: Any, keep_s: float = 0.0) -> str:
    registry = CollectorRegistry()
    registry.register(Platform(sources, keep_s=keep_s))
    return generate_latest(registry).decode()


@pytest.mark.unit
def test_collect__one_source_fails__the_others_are_shown() -> None:
    text = _text(Counted("a"), Counted("b", error=OSError("away")), Counted("c"))
    assert "nexus_a_0 0.0" in text
    assert "nexus_c_0 0.0" in text
    assert 'nexus_exporter_source_up{source="a"} 1.0' in text
    assert 'nexus_exporter_source_up{source="b"} 0.0' in text


@pytest.mark.unit
def test_collect__asked_often__asks_the_part_once() -> None:
    source = Counted("a")
    registry = CollectorRegistry()
    registry.register(Platform([source], keep_s=60))
    assert source.asked == 0, "registering asks nobody"
    for _ in range(5):
        assert "nexus_a_0" in generate_latest(registry).decode()
    assert source.asked == 1


@pytest.mark.unit
def test_collect__source_that_dies__leaves_no_old_figures() -> None:
    source = Counted("a")
    registry = CollectorRegistry()
    registry.register(Platform([source], keep_s=0))
    assert "nexus_a_0 0.0" in generate_latest(registry).decode()
    source._error = OSError("gone")
    text = generate_latest(registry).decode()
    assert "nexus_a_0" not in text
    assert 'nexus_exporter_source_up{source="a"} 0.0' in text


@pytest.mark.unit
def test_collect__far_too_many_series__are_dropped_and_told() -> None:
    family = GaugeMetricFamily("nexus_many", "Too many.", labels=("viewer",))
    for number in range(collect.MOST_SERIES + 1):
        family.add_metric((str(number),), 1.0)
    source = Counted("many")
    source.read = lambda: iter([family])  # type: ignore[method-assign]
    text = _text(source)
    assert "nexus_many{" not in text
    assert 'nexus_exporter_source_up{source="many"} 0.0' in text


@pytest.mark.unit
def test_dagster__answer__becomes_runs_ages_rows_and_durations() -> None:
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in dagster.families(ANSWER)
        for sample in family.samples
    }
    assert figures[("nexus_pipeline_runs", "success")] == 3
    assert figures[("nexus_pipeline_runs", "failure")] == 1
    assert figures[("nexus_pipeline_runs", "queued")] == figures[("nexus_pipeline_runs", "running")] == 0
    assert figures[("nexus_asset_materialized_timestamp_seconds", "core_nexus__quarantine")] == 1795428000
    assert figures[("nexus_asset_seconds", "core_nexus__quarantine")] == 2.5
    assert figures[("nexus_table_rows", "core_nexus__quarantine")] == 17
    assert not [name for name in figures if "never/made" in name]


@pytest.mark.unit
def test_disk__state_folder__has_size_and_room(tmp_path: Path) -> None:
    figures = {family.name: family.samples[0].value for family in machine.Disk(tmp_path).read()}
    assert figures["nexus_disk_size_bytes"] >= figures["nexus_disk_free_bytes"] > 0


@pytest.mark.integration
def test_stores__real_servers__give_their_figures(settings: Settings) -> None:
    text = _text(Postgres(settings), Redis(settings))
    assert 'nexus_exporter_source_up{source="postgres"} 1.0' in text
    assert 'nexus_exporter_source_up{source="redis"} 1.0' in text
    assert 'nexus_postgres_database_bytes{database="nexus"}' in text
    assert "nexus_redis_is_written 1.0" in text
    for name in ("nexus_postgres_connections", "nexus_postgres_max_connections", "nexus_redis_memory_bytes"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert float(line.split()[1]) > 0
