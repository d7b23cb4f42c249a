"""Which code and which libraries a model is made by.

Belongs here: their versions, as plain text. Does not belong here: where they are written down (training.tracking), data
(training.snapshot).
"""

from __future__ import annotations

import ast
import hashlib
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path

from nexus.settings import ROOT

PACKAGES = ("torch", "lightning", "onnx", "onnxruntime", "numpy", "scipy", "polars", "mlflow")
DECIDING = ("training.experiment", "training.export", "training.determinism")
"""Modules that make a model; whatever they import from ``training`` decides with them."""


def environment() -> dict[str, str]:
    """Libraries, machine and commit that a run is made with."""
    packages = {package: version_of(package) for package in PACKAGES}
    return {"python": platform.python_version(), "machine": platform.machine(), "git_commit": commit()} | packages


@cache
def commit() -> str:
    """The commit of the checkout; ``unknown`` where there is no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"


@cache
def code_version() -> str:
    """A hash of the source that decides a model: a change there means training again."""
    digest = hashlib.sha256()
    for name in deciding_modules():
        digest.update(f"{name}\n".encode() + _file(name).read_bytes())
    return digest.hexdigest()[:12]


def deciding_modules() -> list[str]:
    """The deciding modules and everything of ``training`` that they import, wherever in their text they do."""
    known: set[str] = set()
    open_ends = list(DECIDING)
    while open_ends:
        name = open_ends.pop()
        if name not in known:
            known.add(name)
            open_ends += _imports(name)
    return sorted(known)


def _imports(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_file(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "training":
            for candidate in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if _file(candidate).is_file():
                    yield candidate


def _file(name: str) -> Path:
    return (ROOT / name.replace(".", "/")).with_suffix(".py")
