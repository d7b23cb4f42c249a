"""Reports and lake care as assets, over a small lake: figures, warnings, fewer files, the same rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

from assets.care import lake as care
from assets.reports import drift, quality
from assets.resources import with_settings
from nexus.errors import NexusError, unavailable
from nexus.lake import provenance
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.settings import CareSettings, Settings
from training import snapshot
from training.bundle_format import (
    MANIFEST_FILE,
    MODEL_FILE,
    VOCABULARY_FILE,
    Manifest,
    bundle_folder,
    sha256,
    write_pointer,
)

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def interaction(number: int, value: float) -> dict[str, Any]:
    return {
        "user_id": f"u{number % 20}", "content_id": f"t{number % 30}", "event_id": f"e{number}", "interaction_type": "rate",
        "value": value, "occurred_at": NOW + timedelta(hours=number), "source": "nexus",
    }  # fmt: skip


def write(lake: Lake, table: str, rows: list[dict[str, Any]], mode: Any = "overwrite") -> None:
    schema = declared(table).schema
    full = [dict.fromkeys(schema.names) | row for row in rows]
    lake.write(table, pa.Table.from_pylist(full, schema=schema), mode=mode)


def publish(settings: Settings, examples: int | None) -> None:
    """A champion that was trained on a version of the examples."""
    folder = bundle_folder(settings.bundle_url, "1")
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(b"none")
    (folder / VOCABULARY_FILE).write_text(json.dumps(["", "t0"]))
    files = {name: sha256(folder / name) for name in (MODEL_FILE, VOCABULARY_FILE)}
    manifest = Manifest(
        version="1",
        model_name="recommender",
        created_at=NOW,
        data_hash="x",
        data_version=examples,
        history_length=5,
        files=files,
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())
    write_pointer(settings.bundle_url, "1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, care=CareSettings(retain_days=0))
    lake = Lake.from_settings(made)
    old = [interaction(number, 4.0) for number in range(300)]
    example = {"position": 1, "history_length": 1, "split": "train"}
    write(lake, "marts_nexus__interactions", old)
    columns = ("event_id", "user_id", "content_id", "interaction_type", "value", "occurred_at")
    write(lake, "training_nexus__examples", [{name: row[name] for name in columns} | example for row in old])
    publish(made, lake.version("training_nexus__examples"))
    return made


def run(settings: Settings, *assets: Any, tables: list[str] | None = None) -> dg.ExecuteInProcessResult:
    config = {"ops": {asset.op.name: {"config": {"tables": tables}} for asset in assets}} if tables else {}
    resources = {"platform": with_settings(settings)}
    return dg.materialize(list(assets), resources=resources, raise_on_error=False, run_config=config)


def facts(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    found = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    (whole,) = [event for event in found if event.partition is None or len(found) == 1]
    return {name: value.value for name, value in whole.materialization.metadata.items()}


def test_drift__ratings_fell__is_written_once_with_a_picture_and_warns(settings: Settings) -> None:
    lake = Lake.from_settings(settings)
    new = [interaction(number, 1.0) for number in range(300, 600)]
    write(lake, "marts_nexus__interactions", [interaction(number, 4.0) for number in range(300)] + new)
    result = run(settings, drift.reports_nexus__drift, drift.no_drift)
    told = facts(result, "reports_nexus__drift")
    assert told["new_rows"] == 300
    assert told["distributions"].startswith("![distributions](data:image/png;base64,")
    rows = pl.DataFrame(lake.read("reports_nexus__drift"))
    over = set(rows.filter("is_over")["metric"])
    assert {"rating_psi", "rating_ks"} <= over
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert set(check.metadata) == over
    run(settings, drift.reports_nexus__drift)
    assert lake.count("reports_nexus__drift") == rows.height, "the same measurement again adds nothing"


def test_drift__no_champion__says_so_and_passes(tmp_path: Path) -> None:
    result = run(Settings(home=tmp_path), drift.reports_nexus__drift, drift.no_drift)
    assert result.success
    assert facts(result, "reports_nexus__drift")["not_measured"] == "no model has been promoted yet"
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_quality__nulls_rise__is_measured_once_a_version_and_warns(settings: Settings) -> None:
    lake = Lake.from_settings(settings)
    first = run(settings, quality.reports_nexus__quality, quality.no_worse)
    assert all(check.passed for check in first.get_asset_check_evaluations())
    count = lake.count("reports_nexus__quality")
    run(settings, quality.reports_nexus__quality)
    assert lake.count("reports_nexus__quality") == count, "no table has a new version"
    views = [interaction(number, 4.0) | {"value": None, "interaction_type": "view"} for number in range(300)]
    write(lake, "marts_nexus__interactions", views)
    second = run(settings, quality.reports_nexus__quality, quality.no_worse)
    (check,) = second.get_asset_check_evaluations()
    assert not check.passed
    assert check.metadata["marts_nexus__interactions null_share"].value == "0.000 -> 1.000"
    assert facts(second, "reports_nexus__quality")["shares"].startswith("![shares over time]")


CARE = (care.lake_optimize, care.lake_z_order, care.lake_checkpoint, care.lake_vacuum)


def test_care__many_small_files__become_few_and_no_row_or_provenance_changes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "oldest_needed", lambda _: {"training_nexus__examples": needed})
    lake = Lake.from_settings(settings)
    needed = lake.version("training_nexus__examples")
    for number in range(300, 306):
        write(lake, "marts_nexus__interactions", [interaction(number, 4.0)], mode="append")
    content, changed = (
        lake.content_hash("marts_nexus__interactions"),
        provenance.content_version(lake, "marts_nexus__interactions"),
    )
    result = run(settings, *CARE)
    assert result.success
    told = facts(result, "lake_optimize")
    assert told["files_before"] - told["files_after"] >= 6
    assert lake.content_hash("marts_nexus__interactions") == content
    assert provenance.content_version(lake, "marts_nexus__interactions") == changed
    assert lake.version("marts_nexus__interactions") > changed
    assert facts(result, "lake_vacuum")["kept_for_models"] == f"training_nexus__examples@{needed}"
    assert "| marts_nexus__interactions | 7 | 1 |" in told["by_table"]
    again = facts(run(settings, *CARE), "lake_optimize")
    assert again["files_before"] == again["files_after"]


def test_care__one_table_chosen__leaves_the_others(settings: Settings) -> None:
    lake = Lake.from_settings(settings)
    for number in range(300, 303):
        write(lake, "marts_nexus__interactions", [interaction(number, 4.0)], mode="append")
    before = lake.version("marts_nexus__interactions")
    result = run(settings, care.lake_optimize, tables=["training_nexus__examples"])
    assert result.success
    assert lake.version("marts_nexus__interactions") == before


def test_vacuum__registry_away__deletes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Settings) -> dict[str, int]:
        raise unavailable("the model registry does not answer", remedy="run bin/nexus status")

    monkeypatch.setattr(snapshot, "oldest_needed", away)
    lake = Lake.from_settings(settings)
    before = lake.version("training_nexus__examples")
    write(lake, "training_nexus__examples", [])
    assert not run(settings, care.lake_vacuum).success
    assert lake.scan("training_nexus__examples", before).collect().height == 300


def test_vacuum__a_model_needs_an_old_version__it_stays_readable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.from_settings(settings)
    needed = lake.version("training_nexus__examples") or 0
    write(lake, "training_nexus__examples", [])
    write(lake, "marts_nexus__interactions", [])
    old = lake.version("marts_nexus__interactions") or 0
    monkeypatch.setattr(snapshot, "oldest_needed", lambda _: {"training_nexus__examples": needed})
    assert run(settings, care.lake_vacuum).success
    assert lake.scan("training_nexus__examples", needed).collect().height == 300
    with pytest.raises((NexusError, pl.exceptions.PolarsError, OSError)):
        lake.scan("marts_nexus__interactions", old - 1).collect()
