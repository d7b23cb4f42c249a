"""A registered model's data comes back bit for bit, whatever happened to lake and store, and trains to the same figures.

Real DVC, real Delta tables, a real MLflow store (sqlite in a temporary folder).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

from features import compute
from features.examples import examples
from features.schema import CONTEXT_FEATURES
from nexus.cli.main import main
from nexus.errors import Category, NexusError, unavailable
from nexus.lake.lake import Lake
from nexus.settings import MlflowSettings, Settings
from training import dvc, experiment, registry, retrain, snapshot, tracking
from training.rebuild import restore
from training.recipes.hybrid import VALUES

pytestmark = pytest.mark.integration
AT = datetime(2024, 1, 1, tzinfo=UTC)


def internal(number: int) -> str:
    return f"{number:08x}-0000-5000-8000-{number:012x}"


def interactions(seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    rows = [
        (
            internal(viewer),
            internal((first + step) % 25),
            f"{seed}:{viewer}:{step}",
            float(1 + (viewer + step) % 5),
            step,
        )
        for viewer, first in enumerate(random.integers(0, 25, 30))
        for step in range(12)
    ]
    return pl.DataFrame(
        {
            "user_id": [row[0] for row in rows],
            "content_id": [row[1] for row in rows],
            "event_id": [row[2] for row in rows],
            "interaction_type": ["rate"] * len(rows),
            "value": [row[3] for row in rows],
            "occurred_at": pl.Series([AT + timedelta(hours=row[4]) for row in rows], dtype=pl.Datetime("us", "UTC")),
            "source": ["movielens"] * len(rows),
        }
    )


def load(lake: Lake, seed: int) -> None:
    """Overwrite what training reads, as another load of data does."""
    found = interactions(seed)
    rows = examples(found, compute.viewer_features(found), compute.title_features(found))
    lake.write(snapshot.EXAMPLES, rows, mode="overwrite")
    known = sorted(found["content_id"].unique())
    catalogue = pl.DataFrame(
        {
            "content_id": known,
            "title": known,
            "content_type": ["movie"] * len(known),
            "year": pl.Series([1990 + number for number in range(len(known))], dtype=pl.Int32),
            "genres": [["Drama"] if number % 2 else ["War", "Comedy"] for number in range(len(known))],
            "overview": pl.Series([None] * len(known), dtype=pl.String),
            "external_ids": [[{"issuer": "movielens", "value": one}] for one in known],
            "source": ["movielens"] * len(known),
            "updated_at": pl.Series([AT] * len(known), dtype=pl.Datetime("us", "UTC")),
        }
    )
    lake.write(snapshot.TITLES, catalogue, mode="overwrite")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with version 1: trained on a snapshot that DVC keeps."""
    import mlflow

    home = tmp_path_factory.mktemp("home")
    url = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    client = mlflow.MlflowClient(url, registry_uri=url)
    client.create_experiment("nexus", artifact_location=(home / "artifacts").as_uri())
    settings = Settings(home=home, mlflow=MlflowSettings(url=url))
    lake = Lake.from_settings(settings)
    load(lake, seed=1)
    register(settings, snapshot.read(lake, CONTEXT_FEATURES))
    yield settings
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def register(settings: Settings, found: snapshot.Source) -> str:
    with snapshot.keeping(settings, found) as kept:
        done = experiment.run(found.dataset, VALUES["hybrid-debug"], seed=1, max_seconds=300)
    return tracking.log(settings, done, kept()).version


@pytest.fixture
def settings(original: Settings, tmp_path: Path) -> Settings:
    """The same registry, and a copy of lake and store to break."""
    home = tmp_path / "home"
    for part in ("lake", "dvc"):
        shutil.copytree(original.home / part, home / part, ignore=shutil.ignore_patterns("site"))
    return original.model_copy(update={"home": home})


def tags(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = registry.require(registry.client(settings), "recommender", "1").tags
    return found


def objects(settings: Settings) -> list[Path]:
    return [path for path in (settings.home / "dvc/.dvc/cache").rglob("*") if path.is_file()]


def test_log__with_a_pin__tags_run_and_version(settings: Settings) -> None:
    import mlflow

    pin = snapshot.pin_of(tags(settings))
    assert pin is not None
    assert pin.dvc is not None
    assert pin.note == ""
    assert pin.versions == json.loads(tags(settings)["data_version"]) == {snapshot.EXAMPLES: 2, snapshot.TITLES: 2}
    assert dvc.Store.from_settings(settings).is_kept(pin.dvc.md5)
    run = mlflow.get_run(registry.require(registry.client(settings), "recommender", "1").run_id)
    assert run.data.tags["snapshot"] == tags(settings)["snapshot"]
    everything = json.loads(tracking.fetch(settings, "1", tracking.PIN_FILE))
    assert everything["code_version"] == tags(settings)["code_version"]
    assert {"torch", "python", "git_commit"} <= everything["libraries"].keys()


def test_restore__lake_moved_on_and_vacuumed__comes_bit_for_bit_from_dvc(settings: Settings, tmp_path: Path) -> None:
    lake = Lake.from_settings(settings)
    load(lake, seed=2)
    for table in (snapshot.EXAMPLES, snapshot.TITLES):
        DeltaTable(lake.uri(table)).vacuum(0, dry_run=False, enforce_retention_duration=False)
    restored = restore(settings, "1", tmp_path / "data")
    assert restored.as_dict()["matches"] is True
    assert restored.source == "dvc"
    assert restored.is_bit_identical
    assert restored.folder == tmp_path / "data"
    assert snapshot.read(lake, CONTEXT_FEATURES).dataset.data_hash != restored.data_hash
    # Again, over what lies there.
    assert restore(settings, "challenger", tmp_path / "data").matches


@pytest.mark.parametrize("harm", ["damaged", "lost", "gone"])
def test_restore__store_cannot_help__comes_from_the_lakes_history_and_says_so(settings: Settings, harm: str) -> None:
    load(Lake.from_settings(settings), seed=2)
    if harm == "gone":
        shutil.rmtree(settings.home / "dvc")
    for path in objects(settings) if harm != "gone" else []:
        if path.stat().st_size > 2000:
            if harm == "lost":
                path.unlink()
            else:
                path.chmod(0o644)
                path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
    restored = restore(settings, "1")
    assert restored.matches
    assert restored.source == "lake"
    assert restored.is_bit_identical
    assert restored.folder == settings.home / "rebuilt" / "1"
    assert any("DVC has no whole copy" in note for note in restored.notes)
    assert any("damaged" in note for note in restored.notes) == (harm == "damaged")


def test_restore__neither_store_nor_lake__is_one_clear_error(settings: Settings) -> None:
    shutil.rmtree(settings.home / "dvc")
    shutil.rmtree(settings.home / "lake")
    with pytest.raises(NexusError, match="can't be had again") as caught:
        restore(settings, "1")
    assert caught.value.category is Category.UNAVAILABLE
    assert not (settings.home / "rebuilt").exists()


def test_restore__from_a_remote__after_the_store_was_lost(settings: Settings, tmp_path: Path) -> None:
    area = settings.training.model_copy(update={"dvc_remote": str(tmp_path / "elsewhere")})
    own = settings.model_copy(update={"training": area})
    found = snapshot.read(Lake.from_settings(own), CONTEXT_FEATURES)
    pin = snapshot.keep(own, found)
    assert pin.dvc is not None
    assert pin.dvc.is_remote
    shutil.rmtree(own.home / "dvc")
    shutil.rmtree(own.home / "lake")
    restored = restore(own, "1")
    assert (restored.source, restored.matches, restored.is_bit_identical) == ("dvc", True, True)


def test_keep__remote_out_of_reach__is_kept_here_with_a_word(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    area = settings.training.model_copy(update={"dvc_remote": str(tmp_path / "file" / "below")})
    own = settings.model_copy(update={"training": area})
    pin = snapshot.keep(own, snapshot.read(Lake.from_settings(own), CONTEXT_FEATURES))
    assert pin.dvc is not None
    assert not pin.dvc.is_remote
    assert "remote" in pin.note


def test_keep__dvc_cannot_be_had__leaves_the_versions_of_the_lake(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(_: str) -> Path:
        raise unavailable("the environment of dvc could not be made: no network", remedy="check the network")

    monkeypatch.setattr(dvc, "environment", offline)
    pin = snapshot.keep(settings, snapshot.read(Lake.from_settings(settings), CONTEXT_FEATURES))
    assert pin.dvc is None
    assert "no network" in pin.note
    assert pin.files
    restored = restore(settings, "1")
    assert (restored.source, restored.matches) == ("lake", True)
    assert not list((settings.home / "dvc").glob(".export-*"))


@pytest.mark.parametrize(("version", "message"), [("99", "no such version"), ("nobody", "no such version")])
def test_restore__unknown_version__is_not_found(settings: Settings, version: str, message: str) -> None:
    with pytest.raises(NexusError, match=message) as caught:
        restore(settings, version)
    assert caught.value.category is Category.NOT_FOUND


def test_retrain__same_code__gives_the_same_figures(settings: Settings) -> None:
    again = retrain.retrain(settings, restore(settings, "1"))
    said = again.as_dict()
    assert said["is_within_tolerance"]
    assert said["largest_difference"] == 0.0
    assert said["equal_ranks"] == 1.0
    assert {figure["metric"] for figure in said["metrics"]} >= {"ndcg_10", "hr_10", "validation_ndcg_10"}
    assert {figure["candidate"] for figure in said["metrics"]} == {
        "attention",
        "ease",
        "hybrid",
        "popularity",
        "sequence",
        "transitions",
    }


def test_retrain__figures_out_of_tolerance__are_named() -> None:
    figure = retrain.Figure("attention", "ndcg_10", 0.1, 0.2, 0.1, retrain.TOLERANCE)
    missing = retrain.Figure("attention", "ndcg_10", 0.1, float("nan"), float("nan"), retrain.TOLERANCE)
    assert not figure.is_within
    assert not missing.is_within


def test_retrain__code_changed_since__is_refused_with_the_commit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored = restore(settings, "1")
    monkeypatch.setattr(retrain, "code_version", lambda: "another")
    with pytest.raises(NexusError, match="other code") as caught:
        retrain.retrain(settings, restored)
    assert caught.value.field == "code_version"
    assert "check out commit" in str(caught.value.remedy)


def test_oldest_needed__of_several_versions__forgets_the_archived(settings: Settings) -> None:
    client = registry.client(settings)
    source, run_id = (getattr(registry.require(client, "recommender", "1"), name) for name in ("source", "run_id"))
    newer = client.create_model_version("recommender", source, run_id).version
    client.set_model_version_tag(
        "recommender", newer, "data_version", json.dumps({snapshot.EXAMPLES: 9, snapshot.TITLES: 7, "other": 3})
    )
    assert snapshot.oldest_needed(settings) == {snapshot.EXAMPLES: 2, snapshot.TITLES: 2, "other": 3}
    registry.archive(settings, str(newer))
    assert snapshot.oldest_needed(settings) == {snapshot.EXAMPLES: 2, snapshot.TITLES: 2}
    with pytest.raises(NexusError, match="challenger"):
        registry.archive(settings, "1")
    client.delete_model_version("recommender", newer)


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs bin/nexus here; gives exit status and what it printed."""
    monkeypatch.setenv("NEXUS_HOME", str(settings.home))
    monkeypatch.setenv("NEXUS_MLFLOW__URL", str(settings.mlflow.url))

    def run(*words: str) -> tuple[int, str]:
        status = main([*words])
        return status, capsys.readouterr().out

    return run


def test_command_rebuild__json__has_the_fields_of_the_contract(command: Any) -> None:
    status, out = command("models", "rebuild", "1", "--json")
    said = json.loads(out.splitlines()[-1])
    assert status == 0
    assert {"version", "data_hash", "registered_data_hash", "matches"} <= said.keys()
    assert said["data_hash"] == said["registered_data_hash"]
    assert (said["version"], said["matches"], said["source"]) == ("1", True, "dvc")


def test_command_rebuild__data_are_not_the_registered__ends_with_1(command: Any, settings: Settings) -> None:
    client, right = registry.client(settings), tags(settings)["data_hash"]
    client.set_model_version_tag("recommender", "1", "data_hash", "0" * 16)
    try:
        status, out = command("models", "rebuild", "1", "--json", "--train")
    finally:
        client.set_model_version_tag("recommender", "1", "data_hash", right)
    said = json.loads(out.splitlines()[-1])
    assert status == 1
    assert (said["matches"], said["data_hash"], said["registered_data_hash"]) == (False, right, "0" * 16)
    assert "training" not in said


def test_command_rebuild__for_a_person__says_where_and_whence(command: Any, settings: Settings) -> None:
    status, out = command("models", "rebuild", "1")
    assert status == 0
    assert "from DVC" in out
    assert str(settings.home / "rebuilt" / "1") in out
    assert "the same" in out
