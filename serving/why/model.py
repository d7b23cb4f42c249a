"""The model behind an answer, as the registry and its bundle tell it, and the versions of the tables it was made from.

Belongs here: reading. Does not belong here: the registry's changes (training.registry).
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, Final

import httpx

from nexus.errors import NexusError
from nexus.lake.lake import Lake
from nexus.settings import Settings
from training.bundle_format import MANIFEST_FILE, Manifest, bundle_folder, read_pointer
from training.catalog import METRICS_TAG

TRAINING: Final = "training_nexus__examples"
VERSION_PATH: Final = "/api/2.0/mlflow/model-versions/get"
WITHIN_S: Final = 5.0


def describe(settings: Settings, version: str) -> dict[str, Any]:
    """A registered version, also one that was replaced since."""
    found = _registered(settings, version)
    tags = {tag["key"]: tag["value"] for tag in (found or {}).get("tags", ())}
    manifest = _manifest(settings.bundle_url, version)
    metrics = json.loads(tags[METRICS_TAG]) if METRICS_TAG in tags else (manifest.metrics if manifest else {})
    return {
        "name": settings.mlflow.model_name,
        "version": version,
        "run_id": (found or {}).get("run_id"),
        "kind": tags.get("kind") or (manifest.kind if manifest else None),
        "data_hash": tags.get("data_hash") or (manifest.data_hash if manifest else None),
        "data_version": tags.get("data_version") or (str(manifest.data_version) if manifest else None),
        "metrics": metrics,
        "protocol": tags.get("protocol") or (manifest.protocol if manifest else None),
        "git_commit": tags.get("git_commit"),
        "registry": "up" if found is not None else "away",
        "is_served_now": _served_now(settings) == version,
    }


def tables_of(lake: Lake, model: dict[str, Any], recorded: int | None) -> dict[str, int]:
    """Every table that led to the model's training data, with its version: as tagged, else as the commits say."""
    tagged = _tagged(model.get("data_version"))
    version = tagged.get(TRAINING, recorded)
    if version is None:
        return tagged
    found: dict[str, int] = {}
    _follow(lake, TRAINING, version, found)
    return found | tagged


def _tagged(text: object) -> dict[str, int]:
    try:
        read = json.loads(str(text))
    except json.JSONDecodeError:
        return {}
    if isinstance(read, dict):
        return {str(table): int(version) for table, version in read.items() if isinstance(version, int)}
    return {TRAINING: read} if isinstance(read, int) and not isinstance(read, bool) else {}


def _follow(lake: Lake, table: str, version: int, found: dict[str, int]) -> None:
    """A rebuilt table's commit says which versions of which tables it was computed from."""
    if table in found or not lake.exists(table):
        return
    found[table] = version
    commit = next((one for one in lake.history(table) if one.get("version") == version), {})
    try:
        inputs = ast.literal_eval(commit.get("inputs", "{}"))
    except (ValueError, SyntaxError):
        return
    for source, at in inputs.items():
        if isinstance(at, int):
            _follow(lake, source, at, found)


def _registered(settings: Settings, version: str) -> dict[str, Any] | None:
    if settings.mlflow.url is None:
        return None
    try:
        with httpx.Client(base_url=settings.mlflow.url, timeout=WITHIN_S, trust_env=False) as client:
            answer = client.get(VERSION_PATH, params={"name": settings.mlflow.model_name, "version": version})
            found: dict[str, Any] = answer.raise_for_status().json()["model_version"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return found


def _manifest(bundle_url: str, version: str) -> Manifest | None:
    try:
        return Manifest.model_validate_json((bundle_folder(Path(bundle_url), version) / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError, NexusError):
        return None


def _served_now(settings: Settings) -> str | None:
    try:
        return read_pointer(settings.bundle_url)
    except NexusError:
        return None
