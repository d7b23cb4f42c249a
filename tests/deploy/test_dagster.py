"""The instance of the cluster profile: its launcher loads, and asks Kubernetes for what a training needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.instance.ref import InstanceRef

from assets import compute
from assets.definitions import build_defs
from nexus.settings import ROOT, Settings

pytestmark = pytest.mark.unit

CLUSTER, EMBEDDED = ROOT / "deploy/dagster/dagster.yaml", ROOT / "dagster.yaml"
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
users: [{name: test, user: {token: none}}]
"""


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())
    return found


@pytest.fixture
def launcher(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The launcher as Dagster makes it of the file; only the way to the cluster's API is the test's."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    asked = config["run_launcher"]["config"] | {
        "load_incluster_config": False,
        "kubeconfig_file": str(tmp_path / "kubeconfig"),
    }
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump(config | {"run_launcher": config["run_launcher"] | {"config": asked}})
    )
    monkeypatch.setenv("NEXUS_K8S_NAMESPACE", "nexus")
    monkeypatch.setenv("NEXUS_K8S_RUN_IMAGE", "nexus:test")
    monkeypatch.setenv("NEXUS_DAGSTER_POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/dagster")
    return InstanceRef.from_dir(str(tmp_path)).run_launcher


def test_cluster_file__as_an_instance__has_a_launcher_of_kubernetes(launcher: Any) -> None:
    assert type(launcher).__name__ == "K8sRunLauncher"
    assert (launcher.job_namespace, launcher.job_image) == ("nexus", "nexus:test")
    assert launcher.service_account_name == "nexus-dagster"


def test_cluster_file__both_profiles__pass_dagsters_schema_and_agree(config: dict[str, Any]) -> None:
    from dagster._config import validate_config

    embedded = yaml.safe_load(EMBEDDED.read_text())
    for file in (config, embedded):
        assert validate_config(dagster_instance_config_schema(), file).success
    assert set(config) - set(embedded) == {"run_launcher"}
    for same in ("telemetry", "storage", "freshness", "run_retries", "retention"):
        assert config[same] == embedded[same]
    assert config["concurrency"]["pools"] == embedded["concurrency"]["pools"]


def test_training_job__gpus_in_the_settings__asks_the_pod_for_them() -> None:
    settings = Settings(profile="cluster", training={"gpus": 2})
    job = build_defs(settings=settings).resolve_job_def("pipeline")
    from dagster_k8s.job import get_user_defined_k8s_config

    wanted = get_user_defined_k8s_config(job.tags)
    limits = wanted.container_config["resources"]["limits"]
    assert limits == {compute.GPU_RESOURCE: "2"}
    assert wanted.pod_spec_config["tolerations"][0]["key"] == compute.GPU_RESOURCE


def test_training_job__no_gpus__asks_for_nothing() -> None:
    assert compute.run_tags(Settings()) == {}


def test_candidate__pool__is_shared_by_every_training() -> None:
    graph = build_defs(settings=Settings()).resolve_asset_graph()
    assert graph.get(dg.AssetKey("model_recommender__candidate")).pools == {compute.GPU_POOL}
