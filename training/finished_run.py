"""The folder of a run of ``bin/nexus train``, read back and verified before anything is done with it.

Belongs here: whether its files belong together, whether its model has the served signature. Does not belong here: writing such a
folder (training.run, training.run_folder), what is done with it (training.importing).

The files are held against the hashes of ``bundle.json``, the ranks against the figures of ``summary.json``.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nexus.errors import NexusError, invalid, not_found
from training.bundle_format import MANIFEST_FILE, OUTPUTS, Bundle, is_served_form, read_files, sha256
from training.evaluation import ndcg
from training.run_folder import RANKS, SUMMARY

NEEDED = ("recipe", "protocol", "data_hash", "seed", "device", "seconds", "metrics", "floors", "model", "words", "data")
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Found:
    """A folder whose files belong together.

    Attributes:
        folder: Where it lies.
        summary: ``summary.json``.
        ranks: Of ``ranks.csv``, in its order.
        model: The model's files; None: the run wrote none.
        fingerprint: Equal for the same files.
    """

    folder: Path
    summary: dict[str, Any]
    ranks: list[int]
    model: Bundle | None
    fingerprint: str

    @property
    def kind(self) -> str:
        """Which candidate the model is."""
        return str(self.summary["model"])

    def figures(self) -> dict[str, dict[str, float]]:
        """Figures of all candidates by the registry's names (``hr_10``)."""
        return {
            name: {figure.replace("@", "_"): float(value) for figure, value in found["metrics"].items()}
            | {"validation_ndcg_10": float(found["validation_ndcg@10"])}
            for name, found in self.summary.get("candidates", {}).items()
        }


def read(folder: Path) -> Found:
    """Read and verify a folder.

    Raises:
        NexusError: ``not_found`` when it holds no finished run, ``invalid`` when its files do not belong together.
    """
    summary = read_json(folder, SUMMARY)
    lacking = [name for name in NEEDED if name not in summary]
    if lacking:
        raise _refused(folder, f"{SUMMARY} lacks {', '.join(lacking)}")
    ranks = _ranks(folder)
    _same_figures(folder, summary, ranks)
    model = None
    if (folder / MANIFEST_FILE).is_file():
        try:
            model = read_files(folder)
        except NexusError as error:
            raise _refused(folder, error.message) from error
        manifest = model.manifest
        if (manifest.data_hash, manifest.kind, manifest.metrics) != (
            summary["data_hash"],
            summary["model"],
            summary["metrics"],
        ):
            raise _refused(folder, f"{MANIFEST_FILE} is of another run than {SUMMARY}")
    names = (SUMMARY, RANKS, *((MANIFEST_FILE,) if model else ()))
    digest = hashlib.sha256("".join(f"{name} {sha256(folder / name)}\n" for name in names).encode())
    return Found(folder, summary, ranks, model, f"import-{digest.hexdigest()[:16]}")


def unserved(model: Bundle) -> str | None:
    """Why the model has not the served signature; None: it has."""
    import onnxruntime as ort

    manifest, size = model.manifest, len(model.vocabulary)
    if not is_served_form(manifest.inputs, manifest.outputs):
        return f"it gives {', '.join(manifest.outputs)} for {', '.join(manifest.inputs)}"
    length, asked = manifest.history_length, 2
    feed = {
        "items": np.full((1, length), min(1, size - 1), np.int64),
        "values": np.ones((1, length), np.float32),
        "ages_days": np.zeros((1, length), np.float32),
        "context": np.zeros((1, len(manifest.context_features)), np.float32),
        "titles": np.full((1, asked), min(1, size - 1), np.int64),
    }
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        running = ort.InferenceSession(str(model.model_path), options, providers=["CPUExecutionProvider"])
        taken = {one.name for one in running.get_inputs()}
        scores, parts = running.run(list(OUTPUTS), {name: value for name, value in feed.items() if name in taken})
    except Exception as error:  # onnxruntime's own errors share no base class  # noqa: BLE001
        return f"it does not run as served models do ({type(error).__name__})"
    if scores.shape != (1, size) or parts.shape != (1, length, asked) or not np.isfinite(scores[:, 1:]).all():
        return f"its outputs are {scores.shape} and {parts.shape}, not {(1, size)} and {(1, length, asked)}"
    return None


def _ranks(folder: Path) -> list[int]:
    try:
        with (folder / RANKS).open(encoding="utf-8", newline="") as file:
            return [int(row["rank"]) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise _refused(folder, f"{RANKS} is missing") from None
    except (KeyError, TypeError, ValueError):
        raise _refused(folder, f"{RANKS} is no table of user,item,rank,candidates") from None


def _same_figures(folder: Path, summary: dict[str, Any], ranks: list[int]) -> None:
    """The ranks must give the figures that are claimed."""
    at = np.array(ranks, dtype=np.int64)
    found = (
        {"hr@10": float(np.mean(at <= 10)), "ndcg@10": float(np.mean(ndcg(at, 10), dtype=np.float64))} if ranks else {}
    )
    for name, value in found.items():
        if not abs(value - float(summary["metrics"].get(name, np.nan))) <= TOLERANCE:
            raise _refused(folder, f"{RANKS} gives {name} {value:.4f}, {SUMMARY} says {summary['metrics'].get(name)}")
    if not ranks:
        raise _refused(folder, f"{RANKS} has no rows")


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of the folder that holds an object.

    Raises:
        NexusError: ``not_found`` or ``invalid``.
    """
    try:
        found = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise not_found(
            "this folder holds no finished run",
            field="DIR",
            value=folder,
            remedy="name the --out folder of bin/nexus train, once it has ended",
        ) from None
    except ValueError:
        raise _refused(folder, f"{name} is no JSON") from None
    if not isinstance(found, dict):
        raise _refused(folder, f"{name} is no object")
    return found


def _refused(folder: Path, reason: str) -> NexusError:
    return invalid(
        f"the files of the run do not belong together: {reason}",
        field="DIR",
        value=folder,
        remedy="copy the whole folder again from where it was trained",
    )
