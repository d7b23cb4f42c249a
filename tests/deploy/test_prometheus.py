"""The rules: well-formed, tested one by one, each with a runbook entry, and about figures that some part really shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from nexus.exporter import dagster, machine, web3
from nexus.exporter.collect import Platform
from nexus.exporter.stores import Postgres, Redis
from nexus.runtime import scrape
from nexus.runtime.home import Home
from nexus.settings import ROOT, ApiSettings, Settings, TelemetrySettings
from serving.metrics import Metrics
from workflows.observing import Figures

FOLDER = ROOT / "deploy" / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
DASHBOARD = ROOT / "deploy" / "grafana" / "nexus.json"
RUNBOOK = ROOT / "docs" / "how-to" / "observe.md"
ENGINE = {"temporal_workflow_failed_total", "temporal_workflow_completed_total"}
"""Shown by Temporal's own client; tests/workflows/test_observing.py reads the first of them from a running worker."""
LABELS = {
    "method", "route", "status", "source", "rung", "outcome", "version", "stream", "activity", "database", "part",
    "table", "asset", "le", "endpoint",
}  # fmt: skip
"""Each has few values, and they come from our code, not from a person, a title or an id."""


def _rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in _rules() if "alert" in rule]
RECORDS = {rule["record"] for rule in _rules() if "record" in rule}


def _promtool(*words: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it; .ci/run installs it)")
    done = subprocess.run([program, *words], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration
def test_rules__by_promtool__are_well_formed(tmp_path: Path) -> None:
    _promtool("check", "rules", *map(str, RULES))
    scrape.write(_home(tmp_path), _settings(tmp_path))
    _promtool("check", "config", str(tmp_path / "run" / "prometheus" / "prometheus.yml"))


@pytest.mark.integration
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules__unit_tests__pass(path: Path) -> None:
    _promtool("test", "rules", str(path))


@pytest.mark.unit
@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_alert__each__has_a_severity_a_summary_and_a_runbook_entry(rule: dict[str, Any]) -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in RUNBOOK.read_text().splitlines()
        if line.startswith("#")
    }
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (ROOT / page) == RUNBOOK
    assert anchor == rule["alert"].lower()
    assert anchor in headings


@pytest.mark.unit
@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_alert__each__is_seen_to_fire_and_to_stay_silent(rule: dict[str, Any]) -> None:
    cases = [
        case["exp_alerts"]
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == rule["alert"]
    ]
    assert any(cases), "no test makes it fire"
    assert not all(cases), "no test keeps it silent"


@pytest.mark.unit
def test_runbook__each_entry__belongs_to_an_alert() -> None:
    entries = set(re.findall(r"^### (Nexus\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert entries == {rule["alert"] for rule in ALERTS}


def _used(expression: str) -> set[str]:
    """The names of series in an expression."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\b(by|without|on|ignoring|group_left)\s*(\([^)]*\))?", " ", expression)
    return {name for name in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w|\s*\()", bare) if "_" in name or ":" in name}


class _Asked:
    """A source with a recorded answer."""

    def __init__(self, name: str, families: Iterator[Metric]) -> None:
        self.name, self._families = name, list(families)

    def read(self) -> list[Metric]:
        return self._families


def _shown(settings: Settings, tmp_path: Path) -> set[str]:
    """Names that the API, the worker and its sources really show, from the code that shows them."""
    asset = {
        "assetKey": {"path": ["a"]},
        "assetMaterializations": [
            {"timestamp": "1", "stepStats": {"startTime": 1, "endTime": 2},
             "metadataEntries": [{"label": dagster.ROWS, "intValue": 1}]}
        ],
    }  # fmt: skip
    platform = CollectorRegistry()
    sources = [Postgres(settings), Redis(settings), machine.Disk(tmp_path), web3.Lanes(settings)]
    asked = [_Asked("dagster", dagster.families({"assetNodes": [asset]})), _Asked("chain", web3.families([(2, 1)]))]
    platform.register(Platform([*sources, *asked]))
    parts = {"nexus_part_up", "nexus_part_restarts_total", "nexus_part_started_timestamp_seconds"}
    source_text = (ROOT / "nexus" / "exporter" / "machine.py").read_text()
    assert all(f'"{name.removesuffix("_total")}"' in source_text for name in parts)
    names = {"up"} | parts | ENGINE
    for registry in (Metrics().registry, Figures().registry, platform):
        for family in registry.collect():
            names |= {sample.name for sample in family.samples}
            ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            names |= {family.name + end for end in ends}
    return names


@pytest.mark.integration
def test_rules__every_figure_they_read__is_shown_by_a_part(settings: Settings, tmp_path: Path) -> None:
    shown = _shown(settings, tmp_path) | RECORDS
    for rule in _rules():
        used = _used(rule["expr"])
        assert used or "up{" in rule["expr"]
        assert used <= shown, f"{rule.get('alert') or rule.get('record')}: nobody shows {used - shown}"


@pytest.mark.integration
def test_dashboard__every_figure_it_reads__is_shown_by_a_part(settings: Settings, tmp_path: Path) -> None:
    shown = _shown(settings, tmp_path) | RECORDS
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert len(expressions) >= 10
    for expression in expressions:
        assert _used(expression) <= shown, expression


@pytest.mark.unit
def test_labels__of_every_figure__have_few_values() -> None:
    for registry in (Metrics().registry, Figures().registry):
        for collector in set(registry._collector_to_names):
            assert set(collector._labelnames) <= LABELS, collector  # type: ignore[attr-defined]
    for path in (ROOT / "nexus" / "exporter").glob("*.py"):
        for listed in re.findall(r"labels=\(([^)]*)\)", path.read_text()):
            assert set(re.findall(r'"(\w+)"', listed)) <= LABELS


def _settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        api=ApiSettings(url="http://127.0.0.1:8788"),
        telemetry=TelemetrySettings(
            metrics_url="http://127.0.0.1:17534/metrics",
            engine_url="http://127.0.0.1:17535/metrics",
            temporal_url="https://temporal.example:9090/prom",
        ),
    )


def _home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.ensure()
    return home


@pytest.mark.unit
def test_scrape__written_folder__names_every_part_and_holds_no_secret(tmp_path: Path) -> None:
    scrape.write(_home(tmp_path), _settings(tmp_path))
    folder = tmp_path / "run" / "prometheus"
    jobs = {job["job_name"]: job for job in yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]}
    targets = {path.stem: json.loads(path.read_text()) for path in (folder / "targets").iterdir()}
    assert set(jobs) == set(targets) == {"nexus-api", "nexus-worker", "nexus-engine", "temporal"}
    for name, job in jobs.items():
        assert job["file_sd_configs"][0]["files"] == [f"targets/{name}.json"]
    assert targets["temporal"][0]["targets"] == ["temporal.example:9090"]
    assert targets["temporal"][0]["labels"]["__scheme__"] == "https"
    assert targets["temporal"][0]["labels"]["__metrics_path__"] == "/prom"
    assert {path.name for path in (folder / "rules").iterdir()} == {path.name for path in RULES}


@pytest.mark.unit
def test_scrape__part_that_is_gone__is_no_target_any_more(tmp_path: Path) -> None:
    home, settings = _home(tmp_path), _settings(tmp_path)
    scrape.write(home, settings)
    scrape.write(home, settings.model_copy(update={"telemetry": TelemetrySettings()}))
    assert [path.stem for path in (tmp_path / "run" / "prometheus" / "targets").iterdir()] == ["nexus-api"]
