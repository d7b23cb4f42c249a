"""From an experiment to a served bundle and back, on a real MLflow store (sqlite in a temporary folder)."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nexus.errors import NexusError
from nexus.settings import ROOT, MlflowSettings, Settings
from training import challenge, experiment, registry, tracking
from training.bundle_format import CONTENT_FILE, MODEL_FILE, bundle_folder, read_champion, read_pointer
from training.content import bundled
from training.content.served import Projection
from training.dataset import Dataset
from training.experiment import Experiment
from training.recipes.hybrid import VALUES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    import mlflow

    home = tmp_path_factory.mktemp("home")
    url = f"sqlite:///{home}/mlflow.db"
    client = mlflow.MlflowClient(url, registry_uri=url)
    client.create_experiment("nexus", artifact_location=(home / "artifacts").as_uri())
    yield Settings(home=home, mlflow=MlflowSettings(url=url))
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.fixture(scope="module")
def done(world: Dataset) -> Experiment:
    return experiment.run(world, VALUES["hybrid-debug"], seed=1, max_seconds=60)


@pytest.fixture(scope="module")
def versions(settings: Settings, done: Experiment) -> tuple[str, str]:
    first = tracking.log(settings, done, texts=texts(done.dataset)).version
    assert tracking.find(settings, tracking.fingerprint(done.dataset, done.config, done.seed)) == first
    return first, tracking.log(settings, done).version


def texts(data: Dataset) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(data.size, 6)).astype(np.float32)


@pytest.fixture
def first_is_champion(settings: Settings, versions: tuple[str, str]) -> str:
    registry.promote(settings, versions[0])
    client = registry.client(settings)
    if registry.aliased(client, "recommender", registry.PREVIOUS):
        client.delete_registered_model_alias("recommender", registry.PREVIOUS)
    return versions[0]


def aliases(settings: Settings) -> dict[str, str]:
    return {alias: model["version"] for model in registry.list_models(settings) for alias in model["aliases"]}


def test_list_models__after_two_runs__keeps_the_contract(settings: Settings, versions: tuple[str, str]) -> None:
    listed = registry.list_models(settings)
    assert [model["version"] for model in listed] == [versions[1], versions[0]]
    assert {"version", "aliases", "metrics", "data_hash", "created_at"} <= set(listed[0])
    assert 0 < listed[0]["metrics"]["ndcg_10"] <= 1


def test_promote__second_after_first__moves_aliases_and_pointer(
    settings: Settings, versions: tuple[str, str], first_is_champion: str
) -> None:
    registry.promote(settings, versions[1])
    registry.promote(settings, versions[1])
    assert aliases(settings) == {"champion": versions[1], "previous": first_is_champion}
    served = read_champion(settings.bundle_url)
    assert served.version == versions[1]
    assert served.manifest.context_features == ("viewer_activity", "viewer_tenure")


def test_promote__crash_before_the_pointer__is_mended_by_asking_again(
    settings: Settings, versions: tuple[str, str], first_is_champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(registry, "write_pointer", crash)
        with pytest.raises(OSError):  # noqa: PT011 (any crash at this place)
            registry.promote(settings, versions[1])
    assert read_pointer(settings.bundle_url) == first_is_champion
    registry.promote(settings, versions[1])
    assert read_pointer(settings.bundle_url) == versions[1]
    assert aliases(settings) == {"champion": versions[1], "previous": first_is_champion}


def test_rollback__after_a_promotion__serves_the_previous_and_marks_the_other(
    settings: Settings, versions: tuple[str, str], first_is_champion: str, done: Experiment
) -> None:
    registry.promote(settings, versions[1])
    assert registry.rollback(settings) == first_is_champion
    assert read_champion(settings.bundle_url).version == first_is_champion
    assert aliases(settings) == {"champion": first_is_champion}
    with pytest.raises(NexusError, match="no previous champion"):
        registry.rollback(settings)
    judged = challenge.judge(settings, done.dataset, versions[1])
    assert not judged.decision.is_accepted
    assert "rolled back" in judged.decision.words()


@pytest.mark.parametrize("name", [MODEL_FILE, CONTENT_FILE])
def test_publish__truncated_copy__is_fetched_again(settings: Settings, first_is_champion: str, name: str) -> None:
    path = bundle_folder(settings.bundle_url, first_is_champion) / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NexusError, match="SHA-256"):
        read_champion(settings.bundle_url)
    registry.promote(settings, first_is_champion)
    assert read_champion(settings.bundle_url).version == first_is_champion
    assert not list(Path(settings.bundle_url, "models").glob(".*"))


def test_log__with_and_without_texts__the_projection_goes_with_the_version(
    settings: Settings, versions: tuple[str, str], first_is_champion: str, done: Experiment
) -> None:
    served = read_champion(settings.bundle_url)
    assert served.version == first_is_champion
    assert served.content_path is not None
    found = Projection.read(served.content_path, len(served.vocabulary))
    assert len(found.row_of) == len({int(item) for history in done.dataset.histories for item in history.items})
    assert served.manifest.texts_hash == bundled.hash_of(texts(done.dataset))
    registry.promote(settings, versions[1])
    without = read_champion(settings.bundle_url)
    assert without.content_path is None
    assert without.manifest.texts_hash == ""


def test_judge__same_model_again__is_refused_with_the_numbers(
    settings: Settings, versions: tuple[str, str], first_is_champion: str, done: Experiment
) -> None:
    judged = challenge.judge(settings, done.dataset, versions[1])
    assert judged.champion == first_is_champion
    assert not judged.decision.is_accepted
    assert "not better than champion" in judged.decision.words()
    assert "refused" in next(m for m in registry.list_models(settings) if m["version"] == versions[1])["gate"]


def test_refreshed__champion_on_other_data__ranks_its_titles(
    settings: Settings, versions: tuple[str, str], done: Experiment
) -> None:
    from training.dataset import leave_out
    from training.evaluation import evaluate

    record = tracking.record_of(settings, versions[0])
    test = leave_out(done.dataset, last=1, name="test")
    for kind in ("hybrid", "transitions"):
        again = challenge.refreshed(settings, done.dataset, versions[0], record | {"winner": kind})
        assert evaluate(again, test, done.dataset.size).ranks.tolist() == record["ranks"][kind]


def test_promote__unknown_version__names_the_remedy(settings: Settings, versions: tuple[str, str]) -> None:  # noqa: ARG001
    with pytest.raises(NexusError, match="no such version") as caught:
        registry.promote(settings, "999")
    assert "models list" in str(caught.value.remedy)


def test_client__nobody_listens__is_unavailable(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, mlflow=MlflowSettings(url="http://127.0.0.1:9"))
    with pytest.raises(NexusError, match="does not answer"):
        registry.list_models(away)


def test_client__in_a_spawned_process__survives_what_mlflow_imports(settings: Settings) -> None:
    code = (
        "import sys; main = sys.modules['__main__']; main.__spec__ = None; assert not hasattr(main, '__file__')\n"
        "from nexus.settings import load; from training import registry; import mlflow\n"
        f"registry.client(load(mlflow={{'url': {settings.mlflow.url!r}}}))\n"
        "mlflow.set_experiment('nexus')\n"
        "with mlflow.start_run(): print('survived')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("survived"), done.stderr[-1000:]
