"""A run of ``bin/nexus train`` comes into a real MLflow store (sqlite in a temporary folder): once, whole, or not at all."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexus.errors import Category, NexusError
from nexus.settings import MlflowSettings, Settings
from training import cli, finished_run, importing, protocols, registry, run, tracking
from training.bundle_format import MODEL_FILE, read_champion, sha256
from training.content import bundled
from training.content.served import Projection
from training.dataset import Dataset
from training.files.reading import Loaded
from training.models_api import quiet
from training.recipes import registry as recipes
from training.run_folder import claimed

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
def trained(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the floors, whose model has the served signature."""
    out = tmp_path_factory.mktemp("runs") / "floors"
    task = protocols.task("leave-one-out", world)
    recipe = replace(recipes.named("floors"), is_quick=True)
    order = run.Order(recipe, Loaded(world, "training_nexus__examples@3"), task, 5, "cpu")
    with claimed(out, order.identity()) as folder:
        run.run(order, folder, quiet)
    return out


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copied"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_bring__own_data__is_registered_promoted_and_known_the_second_time(
    settings: Settings, folder: Path, world: Dataset
) -> None:
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "checkpoint" / "training.safetensors").write_bytes(b"weights")
    found = finished_run.read(folder)
    done = importing.bring(settings, found, world)
    assert done.is_new
    assert done.comparison_only == ""
    assert done.version is not None
    again = importing.bring(settings, finished_run.read(folder), world)
    assert again == replace(done, is_new=False)
    (listed,) = [model for model in registry.list_models(settings) if model["version"] == done.version]
    assert listed["kind"] == found.kind
    assert listed["metrics"]["ndcg_10"] == pytest.approx(found.summary["metrics"]["ndcg@10"])
    client = registry.client(settings)
    kept = client.get_run(done.run_id)
    assert kept.data.params["seed"] == "5"
    assert kept.data.metrics["popularity.hr_10"] == found.summary["floors"]["popularity"]["hr@10"]
    assert {"recipe", "protocol_name", "data_hash", "seed", "device"} <= kept.data.tags.keys()
    for name in ("ranks.csv", "summary.json", "checkpoint/training.safetensors"):
        assert tracking.fetch(settings, done.version, name) == (folder / name).read_bytes()
    record = tracking.record_of(settings, done.version)
    assert set(record["ranks"]) == {"popularity", "recent", "transitions", "item-knn", "ease"}
    assert tracking.provenance_of(settings, done.version)["data_version"] == {"training_nexus__examples": 3}
    registry.promote(settings, done.version)
    served = read_champion(settings.bundle_url)
    assert (served.version, served.vocabulary) == (done.version, world.vocabulary)


def test_bring__text_vectors_of_the_titles__the_bundle_ranks_titles_that_nobody_met(
    settings: Settings, folder: Path, world: Dataset
) -> None:
    edit(folder / "summary.json", seconds=31.0)
    vectors = np.random.default_rng(3).normal(size=(world.size, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    done = importing.bring(settings, finished_run.read(folder), world, lambda data: vectors[: data.size])
    assert done.version is not None
    registry.promote(settings, done.version)
    served = read_champion(settings.bundle_url)
    assert served.manifest.texts_hash == bundled.hash_of(vectors)
    assert served.content_path is not None
    read = Projection.read(served.content_path, len(served.vocabulary))
    wanted = bundled.projection(world, vectors)
    assert all(np.array_equal(read.arrays[name], array) for name, array in wanted.arrays.items())


def test_bring__data_that_are_no_longer_trained_on__no_projection(
    settings: Settings, folder: Path, world: Dataset
) -> None:
    edit(folder / "summary.json", seconds=32.0)
    found = finished_run.read(folder)
    changed = replace(world, data_hash="changed-since")
    done = importing.bring(settings, found, changed, lambda _: pytest.fail("nobody needs the vectors"))
    assert done.version is not None


def test_run__own_data__asks_the_gate(
    settings: Settings, folder: Path, world: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "platform_data", lambda _: world)
    edit(folder / "summary.json", seconds=77.0)
    done = importing.run(settings, folder)
    assert done.gate.startswith(("accepted", "refused"))
    assert next(m for m in registry.list_models(settings) if m["version"] == done.version)["gate"] == done.gate


def test_import__for_programs__says_nothing_but_json(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    edit(folder / "summary.json", seconds=51.0)
    monkeypatch.setattr(cli, "load", lambda: settings)
    cli.import_(folder, as_json=True)
    said = capfd.readouterr()
    done = json.loads(said.out)
    assert (done["is_new"], done["version"] is not None) == (True, True)
    assert not said.err
    # A store that is no server has no page to name; this is what keeps its address from standard output.
    assert mlflow.environment_variables.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()


def test_import__no_text_vectors__what_we_say_of_it_is_not_lost_with_mlflows_words(
    settings: Settings, folder: Path, world: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "summary.json", seconds=52.0)
    monkeypatch.setattr(cli, "load", lambda: settings)
    monkeypatch.setattr(importing, "platform_data", lambda _: world)

    def none(*_: object) -> None:
        sys.stderr.write("no vectors\n")

    monkeypatch.setattr(importing.texts, "of", none)
    cli.import_(folder, as_json=True)
    assert capfd.readouterr().err == "no vectors\n"


def test_bring__other_data__is_for_comparison_only_and_cannot_be_promoted(settings: Settings, folder: Path) -> None:
    for name in ("summary.json", "bundle.json"):
        edit(folder / name, data_hash="of-another-house")
    done = importing.bring(settings, finished_run.read(folder), None)
    assert done.version is not None
    assert "not on this platform's data" in done.comparison_only
    with pytest.raises(NexusError, match="for comparison only") as refused:
        registry.promote(settings, done.version)
    assert refused.value.category is Category.CONFLICT


def test_bring__other_protocol__is_for_comparison_only(settings: Settings, folder: Path, world: Dataset) -> None:
    edit(folder / "summary.json", protocol="global-time")
    done = importing.bring(settings, finished_run.read(folder), world)
    assert "the gate compares under leave-one-out" in done.comparison_only


def test_bring__another_signature__keeps_the_run_and_registers_nothing(
    settings: Settings, folder: Path, world: Dataset
) -> None:
    edit(folder / "bundle.json", outputs=["scores", "viewer"])
    done = importing.bring(settings, finished_run.read(folder), world)
    assert done.version is None
    assert "scores, viewer" in done.comparison_only
    assert importing.bring(settings, finished_run.read(folder), world) == replace(done, is_new=False)


def test_bring__killed_before_its_end__is_done_again(
    settings: Settings, folder: Path, world: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder / "summary.json", seconds=12.5)
    found = finished_run.read(folder)

    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(importing, "register_onnx", killed)
        with pytest.raises(KeyboardInterrupt):
            importing.bring(settings, found, world)
    before = len(registry.list_models(settings))
    done = importing.bring(settings, found, world)
    assert done.is_new
    assert len(registry.list_models(settings)) == before + 1


def test_run__platform_with_no_lake_yet__imports_for_comparison(settings: Settings, folder: Path) -> None:
    for name in ("summary.json", "bundle.json"):
        edit(folder / name, data_hash="elsewhere")
    done = importing.run(settings, folder)
    assert done.gate == ""
    assert done.comparison_only


def _truncate(folder: Path) -> None:
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-9])


def _foreign(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(b"no model" * 99)
    files = json.loads((folder / "bundle.json").read_text())["files"]
    edit(folder / "bundle.json", files=files | {MODEL_FILE: sha256(folder / MODEL_FILE)})


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a model": (_truncate, "SHA-256"),
    "half a summary": (lambda folder: (folder / "summary.json").write_text('{"rec'), "no JSON"),
    "a list for a summary": (lambda folder: (folder / "summary.json").write_text("[]"), "no object"),
    "a summary of something else": (lambda folder: (folder / "summary.json").write_text("{}"), "lacks recipe"),
    "no ranks": (lambda folder: (folder / "ranks.csv").unlink(), "is missing"),
    "empty ranks": (lambda folder: (folder / "ranks.csv").write_text("user,item,rank,candidates\n"), "no rows"),
    "ranks in words": (lambda folder: (folder / "ranks.csv").write_text("rank\nfirst\n"), "no table"),
    "better figures": (lambda folder: edit(folder / "summary.json", metrics={"hr@10": 0.5, "ndcg@10": 0.5}), "gives"),
    "another run's model": (lambda folder: edit(folder / "bundle.json", data_hash="x"), "of another run"),
    "no summary": (lambda folder: (folder / "summary.json").unlink(), "no finished run"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_read__files_that_do_not_belong_together__are_refused(kind: str, folder: Path) -> None:
    damage, words = DAMAGED[kind]
    damage(folder)
    with pytest.raises(NexusError, match=words) as refused:
        finished_run.read(folder)
    assert refused.value.field == "DIR"
    assert refused.value.remedy


def test_unserved__foreign_file_with_its_hash_rewritten__is_no_served_model(folder: Path) -> None:
    _foreign(folder)
    model = finished_run.read(folder).model
    assert model is not None
    assert "does not run" in str(finished_run.unserved(model))


def test_unserved__vocabulary_of_another_length__is_no_served_model(folder: Path) -> None:
    model = finished_run.read(folder).model
    assert model is not None
    assert finished_run.unserved(model) is None
    longer = replace(model, vocabulary=(*model.vocabulary, "one more"))
    assert "its outputs are" in str(finished_run.unserved(longer))
