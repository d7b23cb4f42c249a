"""The pipeline, by Dagster's GraphQL: runs by outcome; each asset's age, rows and duration.

Belongs here: one question and its answer as figures. Does not belong here: launching runs (nexus.runtime.pipeline).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from nexus.errors import unavailable
from nexus.runtime.probes import http

WITHIN_S = 6.0
OUTCOMES = {
    "success": ("SUCCESS",),
    "failure": ("FAILURE",),
    "cancelled": ("CANCELED",),
    "running": ("STARTING", "STARTED", "CANCELING"),
    "queued": ("QUEUED", "NOT_STARTED"),
}
ROWS = "dagster/row_count"
_RUNS = " ".join(
    f"{outcome}:runsOrError(filter:{{statuses:[{','.join(states)}]}},limit:0){{...on Runs{{count}}}}"
    for outcome, states in OUTCOMES.items()
)
_ASSETS = """assetNodes{assetKey{path} isMaterializable assetMaterializations(limit:1){timestamp
  stepStats{startTime endTime} metadataEntries{label ...on IntMetadataEntry{intValue}}}}"""
_QUERY = f"{{{_RUNS} {_ASSETS}}}"


class Dagster:
    """Asked through the webserver, so that it may be anybody's."""

    name = "dagster"

    def __init__(self, url: str) -> None:
        self._url = f"{url}/graphql"

    def read(self) -> Iterator[Metric]:
        """Runs and assets."""
        answer = http(self._url, body={"query": _QUERY}, timeout_s=WITHIN_S)
        if not answer or answer.get("errors") or not answer.get("data"):
            raise unavailable("Dagster refused the question", remedy="see bin/nexus logs dagster-webserver")
        return families(answer["data"])


def families(data: dict[str, Any]) -> Iterator[Metric]:
    """The figures in an answer."""
    runs = GaugeMetricFamily("nexus_pipeline_runs", "Runs that Dagster knows, by outcome.", labels=("outcome",))
    for outcome in OUTCOMES:
        runs.add_metric((outcome,), float((data.get(outcome) or {}).get("count") or 0))
    at = GaugeMetricFamily("nexus_asset_materialized_timestamp_seconds", "When it was last made.", labels=("asset",))
    took = GaugeMetricFamily("nexus_asset_seconds", "How long the last making took.", labels=("asset",))
    rows = GaugeMetricFamily("nexus_table_rows", "Rows when it was last made.", labels=("table",))
    for node in data.get("assetNodes") or []:
        name = "/".join(node["assetKey"]["path"])
        for made in (node.get("assetMaterializations") or [])[:1]:
            at.add_metric((name,), float(made["timestamp"]) / 1000)
            stats = made.get("stepStats") or {}
            if stats.get("startTime") and stats.get("endTime"):
                took.add_metric((name,), stats["endTime"] - stats["startTime"])
            for entry in made.get("metadataEntries") or []:
                if entry["label"] == ROWS and entry.get("intValue") is not None:
                    rows.add_metric((name,), float(entry["intValue"]))
    yield from (runs, at, took, rows)
