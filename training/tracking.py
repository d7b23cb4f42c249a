"""Runs: what was trained on which data with what result, in MLflow, and the version that came of it.

Belongs here: logging an experiment, registering its winner, reading back what was logged.
Does not belong here: aliases beyond ``challenger`` (training.registry), the gate.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.settings import Settings
from training import bundle, catalog, export, plots, registry, snapshot
from training.bundle_format import CONTENT_FILE, MODEL_FILE, TRAINED, Manifest
from training.content import bundled
from training.dataset import Dataset, Floats
from training.evaluation import Scorer
from training.experiment import Experiment
from training.export import Exported
from training.floors import Fitted
from training.hybrid import stored
from training.hybrid.config import HybridConfig
from training.models_api import Exportable
from training.provenance import code_version, commit, environment
from training.snapshot import Pin

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

RECORD_FILE = "evaluation.json"
WEIGHTS_FILE = "weights.safetensors"
ENVIRONMENT_FILE, PIN_FILE = "environment.json", "pin.json"
CODE_TAG, LIMITED_TAG = "code_version", "is_time_limited"
SERVED_WITH = ("onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class Logged:
    """Where an experiment was written down."""

    version: str
    run_id: str
    kind: str
    exported: Exported


def fingerprint(dataset: Dataset, config: HybridConfig, seed: int) -> str:
    """Equal when the same data, configuration, seed and code would be trained again."""
    facts = (dataset.data_hash, config.fingerprint(), str(seed), code_version(), *dataset.context_features)
    return hashlib.sha256("|".join(facts).encode()).hexdigest()[:16]


def find(settings: Settings, wanted: str) -> str | None:
    """The version that was registered with this fingerprint."""
    client, name = registry.client(settings), settings.mlflow.model_name
    same = (found for found in registry.versions(client, name) if found.tags.get("fingerprint") == wanted)
    return next((str(found.version) for found in same), None)


def log(settings: Settings, experiment: Experiment, pin: Pin | None = None, texts: Floats | None = None) -> Logged:
    """Write the run, register the winner's ONNX model as challenger.

    Args:
        settings: Where the registry is.
        experiment: What was trained.
        pin: Where its data can be had again.
        texts: Vectors of texts about the titles, ``[N+1, d]``, for ranking those that nobody met; None: these are ranked
            without the model.

    Returns:
        The new version.
    """
    client = registry.client(settings)
    import mlflow

    mlflow.set_experiment(settings.mlflow.experiment)
    winner, dataset, tags = experiment.winner, experiment.dataset, _tags(experiment, pin)
    with (
        tempfile.TemporaryDirectory() as temporary,
        mlflow.start_run(run_name=f"{winner.name} on {dataset.data_hash}", tags=tags) as run,
    ):
        folder = Path(temporary)
        exported = _bundle(settings, experiment, folder, texts)
        _files(experiment, folder)
        if pin is not None:
            (folder / PIN_FILE).write_text(json.dumps(_everything(experiment, pin), indent=1), encoding="utf-8")
        _figures(run.info.run_id, experiment, exported)
        mlflow.log_artifacts(temporary)
        version = register_onnx(settings, exported.path)
    name = settings.mlflow.model_name
    tags = {catalog.METRICS_TAG: json.dumps(experiment.table()[winner.name])} | tags
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    client.set_registered_model_alias(name, registry.CHALLENGER, version)
    return Logged(version, run.info.run_id, winner.name, exported)


def record_of(settings: Settings, version: str) -> dict[str, Any]:
    """What the gate needs of a version: figures and ranks of all candidates of its run."""
    record: dict[str, Any] = json.loads(fetch(settings, version, RECORD_FILE).decode())
    return record


def provenance_of(settings: Settings, version: str) -> dict[str, Any]:
    """What a version was made from and by."""
    tags = registry.require(registry.client(settings), settings.mlflow.model_name, version).tags
    pin = snapshot.pin_of(tags)
    return {
        "data_version": snapshot.versions_of(tags),
        "snapshot": pin.model_dump(mode="json") if pin else None,
        "seed": tags.get("seed"),
        "code_version": tags.get(CODE_TAG),
        "git_commit": tags.get("git_commit"),
    }


def fetch(settings: Settings, version: str, name: str) -> bytes:
    """One artifact of a version's run."""
    client = registry.client(settings)
    from mlflow.artifacts import download_artifacts

    run_id = registry.require(client, settings.mlflow.model_name, version).run_id
    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(run_id=run_id, artifact_path=name, dst_path=folder, tracking_uri=settings.mlflow.url)
        return Path(path).read_bytes()


def _tags(experiment: Experiment, pin: Pin | None) -> dict[str, str]:
    """The tags of run and version; the fingerprint comes last: a version that has it has all of them."""
    versions = pin.versions if pin is not None else {snapshot.EXAMPLES: experiment.dataset.data_version}
    kept = {snapshot.SNAPSHOT_TAG: pin.model_dump_json()} if pin is not None else {}
    return {
        **kept,
        "data_hash": experiment.dataset.data_hash,
        snapshot.VERSIONS_TAG: json.dumps(
            {table: version for table, version in versions.items() if version is not None}
        ),
        "kind": experiment.winner.name,
        "protocol": experiment.protocol,
        "seed": str(experiment.seed),
        CODE_TAG: code_version(),
        LIMITED_TAG: str(experiment.is_time_limited).lower(),
        "git_commit": commit(),
        "fingerprint": fingerprint(experiment.dataset, experiment.config, experiment.seed),
    }


def _everything(experiment: Experiment, pin: Pin) -> dict[str, Any]:
    """What it takes to make the model again: data, code, configuration, seed, libraries."""
    return {
        "snapshot": pin.model_dump(mode="json"),
        "code_version": code_version(),
        "config": experiment.config.model_dump(mode="json"),
        "seed": experiment.seed,
        "libraries": environment(),
    }


def _bundle(settings: Settings, experiment: Experiment, folder: Path, texts: Floats | None) -> Exported:
    """Export the winner, refitted on everything, and assemble its bundle; the ONNX file itself is not logged twice."""
    dataset, winner, table = experiment.dataset, experiment.winner, experiment.table()
    home = folder / bundle.ARTIFACTS
    home.mkdir()
    length = experiment.config.history_length
    exported = _exported(winner.fit(dataset.histories), dataset, home / MODEL_FILE, length)
    texts_hash = "" if texts is None else bundled.write(dataset, texts, home / CONTENT_FILE)
    manifest = Manifest(
        version="unpublished",
        model_name=settings.mlflow.model_name,
        created_at=datetime.now(UTC),
        data_hash=dataset.data_hash,
        data_version=dataset.data_version,
        kind=winner.name,
        metrics=table[winner.name],
        floors={name: figures for name, figures in table.items() if name not in (winner.name, *TRAINED)},
        protocol=experiment.protocol,
        history_length=length,
        context_features=dataset.context_features,
        texts_hash=texts_hash,
        files={},
    )
    bundle.assemble(home, manifest, dataset.vocabulary)
    outside = folder.parent / f"{folder.name}.onnx"
    return Exported(
        (home / MODEL_FILE).rename(outside),
        exported.max_abs_difference,
        exported.scores_ms,
        exported.contributions_ms,
        exported.size_bytes,
    )


def _exported(fitted: Scorer, dataset: Dataset, path: Path, length: int) -> Exported:
    if isinstance(fitted, Exportable):
        return fitted.export(dataset, path)
    assert isinstance(fitted, Fitted)  # noqa: S101 (a floor: nothing else wins)
    return export.export(export.scorer_of(fitted, length), dataset, path, history_length=length)


def _files(experiment: Experiment, folder: Path) -> None:
    from safetensors.torch import save_file

    (folder / RECORD_FILE).write_text(json.dumps(experiment.record()), encoding="utf-8")
    (folder / ENVIRONMENT_FILE).write_text(json.dumps(environment(), indent=1), encoding="utf-8")
    (folder / "curves.png").write_bytes(plots.curves(experiment.curves))
    (folder / "floors.png").write_bytes(plots.comparison(experiment.table()))
    save_file(stored.state_of(experiment.hybrid), str(folder / WEIGHTS_FILE))


def _figures(run_id: str, experiment: Experiment, exported: Exported) -> None:
    import mlflow

    mlflow.log_params({"seed": experiment.seed} | _flat(experiment.config.model_dump(mode="json")))
    for name, entry in experiment.entries.items():
        if name not in TRAINED:
            mlflow.log_params({f"{name}.{key}": value for key, value in entry.config.items()})
    table = experiment.table()
    figures = dict(table[experiment.winner.name]) | exported.metrics()
    for name, found in table.items():
        figures |= {f"{name}.{metric}": value for metric, value in found.items()}
    figures |= {f"seconds.{part}": value for part, value in experiment.seconds.items()}
    mlflow.log_metrics(figures, run_id=run_id)
    figures_of = {
        f"weight.{name}": float(w) for name, w in zip(experiment.hybrid.parts, experiment.hybrid.weights, strict=True)
    }
    mlflow.log_metrics(figures_of, run_id=run_id)
    for name, curve in experiment.curves.items():
        for point in curve:
            kept = {f"curve.{name}.{key}": value for key, value in point.items() if key != "epoch" and value == value}
            mlflow.log_metrics(kept, step=int(point["epoch"]), run_id=run_id)


def _flat(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Nested values as one level: ``mixture.layers``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{start}{key}.") if isinstance(value, dict) else {f"{start}{key}": value}
    return found


def register_onnx(settings: Settings, path: Path) -> str:
    """Register an ONNX file as a new version; the file is removed."""
    import mlflow.onnx
    import onnx

    model = onnx.load(str(path))
    try:
        info = mlflow.onnx.log_model(
            model,
            name=settings.mlflow.model_name,
            registered_model_name=settings.mlflow.model_name,
            pip_requirements=[f"{package}=={version_of(package)}" for package in SERVED_WITH],
            signature=_signature(model),
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
            await_registration_for=60,
        )
    finally:
        path.unlink()
    return str(info.registered_model_version)


def _signature(model: Any) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from onnx.helper import tensor_dtype_to_np_dtype

    def specs(values: Any) -> Schema:
        return Schema(
            [
                TensorSpec(
                    np.dtype(tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
                    tuple(dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim),
                    value.name,
                )
                for value in values
            ]
        )

    return ModelSignature(inputs=specs(model.graph.input), outputs=specs(model.graph.output))
