"""``bin/nexus models import DIR``: a run of ``bin/nexus train``, made on any machine, comes into the registry.

Belongs here: what is written down about it, whether it may be served. Does not belong here: checking the folder
(training.finished_run), making one (training.run), the gate (training.challenge), the command (training.cli).

Importing the same folder again says which version it is; an import that was interrupted is done again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.lake.lake import Lake
from nexus.settings import Settings
from training import bundle, catalog, challenge, registry, snapshot, tracking
from training.bundle_format import CONTENT_FILE, MODEL_FILE, is_served_form
from training.content import bundled, texts
from training.dataset import Dataset, Floats
from training.files.reading import load_table
from training.finished_run import Found, read, read_json, unserved
from training.run_folder import CHECKPOINT, ORDER, PARTS, RANKS, SUMMARY
from training.tracking import register_onnx

if TYPE_CHECKING:
    from mlflow import MlflowClient

Titles = tuple[Dataset, Floats]
"""Data and the vectors of its titles."""
TextsOf = Callable[[Dataset], Floats | None]
IMPORT_TAG = "imported"
JUDGED_UNDER = "leave-one-out"


@dataclass(frozen=True)
class Imported:
    """What came of it.

    Attributes:
        version: Of the model; None: only the run is kept.
        run_id: Of MLflow.
        is_new: Whether it was not there before.
        comparison_only: Why it is not to be served; empty: it may be, once the gate or a person says so.
        gate: What the gate said of it; empty: it was not asked.
    """

    version: str | None
    run_id: str
    is_new: bool
    comparison_only: str
    gate: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def run(settings: Settings, folder: Path) -> Imported:
    """The whole command: verify, write down, and ask the gate where the model may be served.

    Raises:
        NexusError: the folder is refused (training.finished_run), or the registry does not answer.
    """
    found = read(folder.expanduser().absolute())
    own = platform_data(settings)
    done = bring(settings, found, own, partial(texts.of, settings))
    if done.version is None or done.comparison_only or own is None:
        return done
    return replace(done, gate=challenge.judge(settings, own, done.version).decision.words())


def platform_data(settings: Settings) -> Dataset | None:
    """What the platform trains on now; None before its first examples."""
    lake = Lake.from_settings(settings)
    try:
        return load_table(lake, snapshot.EXAMPLES).dataset if lake.exists(snapshot.EXAMPLES) else None
    finally:
        lake.close()


def bring(settings: Settings, found: Found, own: Dataset | None, texts_of: TextsOf = lambda _: None) -> Imported:
    """Write the run down, and register its model if it has the served signature.

    Args:
        settings: Where the registry is.
        found: The verified folder.
        own: What the platform trains on now; None: nothing yet.
        texts_of: Text vectors of the platform's titles. A model of the data that are trained on now gets a projection with
            them, as one that was trained here has: the folder of a run has no text of titles.

    Raises:
        NexusError: category ``unavailable`` when the registry does not answer.
    """
    client = registry.client(settings)
    known = _known(settings, client, found)
    if known is not None:
        return known
    complaint = "the run wrote no model" if found.model is None else unserved(found.model)
    reason = complaint or comparison_only(settings, found, own)
    import mlflow

    mlflow.set_experiment(settings.mlflow.experiment)
    tags = _tags(found, reason)
    version = None
    with (
        tempfile.TemporaryDirectory() as temporary,
        mlflow.start_run(run_name=f"{found.summary['recipe']} on {found.summary['data_hash']}", tags=tags) as run,
    ):
        _log(settings, found, Path(temporary), run.info.run_id, _titles(found, own, texts_of) if not reason else None)
        if complaint is None:
            with redirect_stderr(StringIO()):  # MLflow tells of its own steps there; what goes wrong is raised
                version = register_onnx(settings, _model_of(found, Path(temporary)))
            kept = {catalog.METRICS_TAG: json.dumps(found.figures()[found.kind])} | tags
            for key, value in (kept | {"fingerprint": found.fingerprint}).items():
                client.set_model_version_tag(settings.mlflow.model_name, version, key, value)
    return Imported(version, run.info.run_id, is_new=True, comparison_only=reason)


def comparison_only(settings: Settings, found: Found, own: Dataset | None) -> str:
    """Why a model of the served signature must not be served; empty: it may be judged and promoted like any other."""
    summary = found.summary
    hashes = {own.data_hash} if own is not None else set()
    client = registry.client(settings)
    for version in registry.versions(client, settings.mlflow.model_name):
        if registry.COMPARISON_TAG not in version.tags:
            hashes.add(version.tags.get("data_hash", ""))
    if summary["data_hash"] not in hashes:
        return (
            f"it was trained on {summary['data']['origin']} (data {summary['data_hash']}), not on this platform's data"
        )
    if summary["protocol"] != JUDGED_UNDER:
        return f"it was measured under {summary['protocol']}; the gate compares under {JUDGED_UNDER}"
    return ""


def _known(settings: Settings, client: MlflowClient, found: Found) -> Imported | None:
    """What an earlier import of the same files left; half an import is removed."""
    experiment = client.get_experiment_by_name(settings.mlflow.experiment)
    if experiment is None:
        return None
    versions = {
        version.run_id: version
        for version in registry.versions(client, settings.mlflow.model_name)
        if version.tags.get("fingerprint") == found.fingerprint
    }
    for run in client.search_runs([experiment.experiment_id], f"tags.{IMPORT_TAG} = '{found.fingerprint}'"):
        reason = run.data.tags.get(registry.COMPARISON_TAG, "")
        if run.info.run_id in versions:
            return Imported(
                str(versions[run.info.run_id].version), run.info.run_id, is_new=False, comparison_only=reason
            )
        if run.info.status == "FINISHED":
            return Imported(None, run.info.run_id, is_new=False, comparison_only=reason)
        _forget(settings, client, run.info.run_id)
    return None


def _forget(settings: Settings, client: MlflowClient, run_id: str) -> None:
    name = settings.mlflow.model_name
    for version in registry.versions(client, name):
        if version.run_id == run_id:
            client.delete_model_version(name, version.version)
    client.delete_run(run_id)


def _tags(found: Found, reason: str) -> dict[str, str]:
    summary = found.summary
    origin, _, at = str(summary["data"]["origin"]).partition("@")
    of_lake = {snapshot.VERSIONS_TAG: json.dumps({origin: int(at)})} if at.isdigit() and not reason else {}
    return {
        **of_lake,
        **({registry.COMPARISON_TAG: reason} if reason else {}),
        IMPORT_TAG: found.fingerprint,
        "recipe": str(summary["recipe"]),
        "protocol": str(summary["words"])[:4900],
        "protocol_name": str(summary["protocol"]),
        "data_hash": str(summary["data_hash"]),
        "kind": found.kind,
        "seed": str(summary["seed"]),
        "device": str(summary["device"]),
        "git_commit": str(summary.get("made_by", {}).get("commit", "unknown")),
    }


def _titles(found: Found, own: Dataset | None, texts_of: TextsOf) -> Titles | None:
    """What a projection for titles that nobody met is made from; None: such titles are ranked without the model."""
    if own is None or found.model is None or own.vocabulary != found.model.vocabulary:
        return None
    if own.data_hash != found.summary["data_hash"]:
        return None
    vectors = texts_of(own)
    return None if vectors is None else (own, vectors)


def _log(settings: Settings, found: Found, folder: Path, run_id: str, titles: Titles | None) -> None:
    """Parameters, figures and files of the run."""
    import mlflow

    summary, table = found.summary, found.figures()
    order = read_json(found.folder, ORDER) if (found.folder / ORDER).is_file() else {}
    values = {name: summary[name] for name in ("recipe", "seed", "device", "budget_s") if name in summary}
    mlflow.log_params(values | {name: str(value)[:500] for name, value in dict(order.get("values") or {}).items()})
    figures = dict(table.get(found.kind, {})) | {"seconds": float(summary["seconds"])}
    for name, measured in table.items():
        figures |= {f"{name}.{metric}": value for metric, value in measured.items()}
    mlflow.log_metrics(figures, run_id=run_id)
    logged = folder / "logged"
    logged.mkdir()
    for name in (SUMMARY, RANKS, ORDER):
        if (found.folder / name).is_file():
            shutil.copyfile(found.folder / name, logged / name)
    (logged / tracking.RECORD_FILE).write_text(json.dumps(_record(found, table)), encoding="utf-8")
    if found.model is not None:
        home = logged / bundle.ARTIFACTS
        home.mkdir()
        shutil.copyfile(_model_of(found, folder), home / MODEL_FILE)
        named = {
            "version": "unpublished",
            "model_name": settings.mlflow.model_name,
            "metrics": table[found.kind],
            "floors": {name: table[name] for name in summary["floors"] if name in table},
            "texts_hash": "" if titles is None else bundled.write(*titles, home / CONTENT_FILE),
        }
        bundle.assemble(
            home,
            found.model.manifest.model_copy(update=named),
            found.model.vocabulary,
            is_served=is_served_form(found.model.manifest.inputs, found.model.manifest.outputs),
        )
        if unserved(found.model) is None:
            (home / MODEL_FILE).unlink()  # the registered model has it
    mlflow.log_artifacts(str(logged))
    if (found.folder / CHECKPOINT).is_dir():
        mlflow.log_artifacts(str(found.folder / CHECKPOINT), CHECKPOINT)


def _model_of(found: Found, folder: Path) -> Path:
    """The ONNX file as the registry will hand it out: written once by the onnx package, so that its hash is known."""
    import onnx

    assert found.model is not None  # noqa: S101 (asked for where there is one)
    path = folder / MODEL_FILE
    if not path.exists():
        onnx.save_model(onnx.load(str(found.model.model_path)), str(path))
    return path


def _record(found: Found, table: dict[str, dict[str, float]]) -> dict[str, Any]:
    """What the gate reads of a version (training.experiment.Experiment.record); floors' ranks where the folder keeps them."""
    ranks = {found.kind: found.ranks}
    for name in found.summary["floors"]:
        path = found.folder / PARTS / f"floor-{name}.json"
        kept = read_json(path.parent, path.name).get("ranks") if path.is_file() else None
        if kept is not None and len(kept) == len(found.ranks):
            ranks.setdefault(name, kept)
    return {
        "data_hash": found.summary["data_hash"],
        "protocol": found.summary["words"],
        "winner": found.kind,
        "metrics": table,
        "configs": {},
        "ranks": ranks,
    }
