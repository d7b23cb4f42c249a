"""Publishing: a registered version becomes a folder that serving reads.

Belongs here: making the files (from an export), fetching them from the registry, checking, moving them into place.
Does not belong here: their form (training.bundle_format), aliases and the pointer's order (training.registry).
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.errors import NexusError
from nexus.settings import Settings
from training.bundle_format import (
    CONTENT_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    VOCABULARY_FILE,
    Bundle,
    Manifest,
    bundle_folder,
    damaged,
    read_bundle,
    read_files,
    sha256,
    write_atomically,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS = "bundle"
_UNFINISHED, _LOCK_FILE = ".unfinished-", "publish.lock"


def assemble(folder: Path, manifest: Manifest, vocabulary: Sequence[str], *, is_served: bool = True) -> Bundle:
    """Write vocabulary and manifest beside the ONNX file, and the projection if there is one, that already lie in the folder."""
    write_atomically(folder / VOCABULARY_FILE, list(vocabulary))
    names = [MODEL_FILE, VOCABULARY_FILE, *([CONTENT_FILE] if (folder / CONTENT_FILE).exists() else [])]
    files = {name: sha256(folder / name) for name in names}
    complete = manifest.model_copy(update={"files": files, "titles": len(vocabulary) - 1})
    write_atomically(folder / MANIFEST_FILE, complete.model_dump(mode="json"))
    return read_files(folder, is_served=is_served)


def publish(settings: Settings, registry: MlflowClient, version: str) -> Bundle:
    """Fetch a version from the registry, verify it, and put it where serving looks; a good copy there is kept.

    The folder appears whole: it is filled under another name and renamed.
    """
    target = bundle_folder(settings.bundle_url, version)
    with _publishing(target.parent):
        return _publish(settings, registry, version, target)


@contextmanager
def _publishing(folder: Path) -> Iterator[None]:
    """One at a time; what a killed one left half made is removed. The kernel drops the lock with its holder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / _LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _publish(settings: Settings, registry: MlflowClient, version: str, target: Path) -> Bundle:
    with suppress(NexusError):  # a damaged copy stays until there is a whole one
        return read_bundle(target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as temporary:
        folder = Path(temporary) / "bundle"
        _fetch(settings, registry, version, folder)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return read_bundle(target)


def _fetch(settings: Settings, registry: MlflowClient, version: str, folder: Path) -> None:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    name = settings.mlflow.model_name
    run_id = registry.get_model_version(name, version).run_id
    model = folder.parent / "model"
    try:
        download_artifacts(
            run_id=run_id, artifact_path=ARTIFACTS, dst_path=str(folder.parent), tracking_uri=settings.mlflow.url
        )
        download_artifacts(
            artifact_uri=f"models:/{name}/{version}", dst_path=str(model), tracking_uri=settings.mlflow.url
        )
    except (MlflowException, OSError) as error:
        raise damaged(folder / MODEL_FILE, f"the registry did not give its files ({type(error).__name__})") from error
    shutil.move(str(model / MODEL_FILE), folder / MODEL_FILE)
    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    write_atomically(folder / MANIFEST_FILE, manifest | {"version": version})
    read_bundle(folder)
