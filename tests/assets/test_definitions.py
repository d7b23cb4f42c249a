"""The graph as text: a change of the graph shows in review as a change of graph.txt."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from assets import cli, jobs
from assets.definitions import build_defs
from nexus.lake.catalogue import TABLES
from nexus.settings import Settings

pytestmark = pytest.mark.unit

SNAPSHOT = Path(__file__).with_name("graph.txt")


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def _drawn(defs: dg.Definitions) -> str:
    graph = defs.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        parents = ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys)) or "-"
        checks = ", ".join(sorted(check.name for check in graph.asset_check_keys if check.asset_key == key)) or "-"
        lines.append(f"{key.to_user_string()} [{node.group_name}] <- {parents} | checks: {checks}")
    jobs = sorted(job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__"))
    return "\n".join([*lines, f"jobs: {', '.join(jobs)}", ""])


def test_graph__as_text__is_the_reviewed_one(defs: dg.Definitions) -> None:
    drawn = _drawn(defs)
    if os.environ.get("NEXUS_TEST_UPDATE") == "1":
        SNAPSHOT.write_text(drawn)
    assert drawn == SNAPSHOT.read_text(), "look at the difference; accept it with NEXUS_TEST_UPDATE=1"


def test_assets__every_one__has_group_owner_and_description(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name in {"raw", "core", "marts", "features", "serving", "models", "reports", "care"}, key
        assert node.owners, key
        assert node.description, key


def test_assets__that_are_tables__have_blocking_generated_checks(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        if key.to_user_string() in TABLES:
            names = {check.name: check for check in graph.asset_check_keys if check.asset_key == key}
            assert {"schema", "rows"} <= names.keys(), key
            assert all(graph.get(names[name]).blocking for name in ("schema", "rows")), key


def test_jobs__pipeline__holds_every_asset_but_reports_care_sweeps_and_the_chains(defs: dg.Definitions) -> None:
    job, graph = defs.resolve_job_def("pipeline"), defs.resolve_asset_graph()
    chain = set(defs.resolve_job_def("chain").asset_layer.executable_asset_keys)
    wanted = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name not in {"reports", "care"}}
    assert {key.to_user_string() for key in chain} == {
        key.to_user_string() for key in graph.get_all_asset_keys() if "_chain__" in key.to_user_string()
    }
    sweep = set(defs.resolve_job_def("sweep").asset_layer.executable_asset_keys)
    assert {key.to_user_string() for key in sweep} == {"model_recommender__sweep"}
    assert set(job.asset_layer.executable_asset_keys) == wanted - chain - sweep


def test_definitions__with_overrides__uses_them() -> None:
    class Other(dg.ConfigurableResource):  # type: ignore[type-arg]
        pass

    given = Other()
    assert build_defs(resource_overrides={"platform": given}).resources["platform"] is given


def test_cli__the_jobs_it_offers__are_those_of_the_code_location() -> None:
    assert {str(job) for job in cli.Job} == {job.name for job in jobs.build(Settings())}
