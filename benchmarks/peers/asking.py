"""A peer as a model of training.models_api: it trains in its own process and its scores are judged like any others.

Belongs here: handing a task over, starting the process, taking its scores. Does not belong here: what the process does
(worker), figures (benchmarks.recommenders).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.environment import ROOT
from benchmarks.peers.handed import Handed, Rows
from training.dataset import Floats, History
from training.tasks import Task

CODE = ("handed.py", "settings.py", "with_implicit.py", "with_rectools.py", "worker.py", "requirements.txt")


@dataclass(frozen=True)
class Answered:
    """Scores of a peer for the histories it was asked about, and what it said of its training."""

    matrix: Floats
    rows: dict[int, int] = field(repr=False)
    said: dict[str, Any] = field(repr=False)

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:  # noqa: ARG002 (the Scorer protocol)
        """Rows of the matrix; only for histories of the test."""
        return np.asarray(self.matrix[[self.rows[id(history)] for history in histories]])


def handed(task: Task, size: int) -> Handed:
    """A task without its test titles."""
    if [*map(id, task.learn[: len(task.validation)])] != [*map(id, task.validation.histories)]:
        raise SystemExit(f"{task.name}: peers that learn viewers by number need these to be the ones asked")
    return Handed(
        size,
        _rows(task.learn),
        _rows(task.validation.histories),
        task.validation.targets,
        _rows(task.relearn),
        _rows(task.test.histories),
    )


def ask(
    python: Path, name: str, task: Task, size: int, data_hash: str, *, seed: int, budget_s: float, threads: int
) -> Answered:
    """Train a peer, or take the answer that it gave to the same order before.

    Args:
        python: Interpreter of the peers' environment.
        name: One of benchmarks.peers.settings.
        task: Of the protocol.
        size: Vocabulary, the padding included.
        data_hash: Of the data.
        seed: Of everything that the peer draws.
        budget_s: Seconds of training.
        threads: That it may use.
    """
    order = {
        "model": name,
        "seed": seed,
        "budget_s": budget_s,
        "threads": threads,
        "protocol": task.name,
        "data_hash": data_hash,
        "code": hashlib.sha256(b"".join(Path(__file__).with_name(file).read_bytes() for file in CODE)).hexdigest()[:12],
    }
    key = hashlib.sha256(json.dumps(order).encode()).hexdigest()[:12]
    folder = ROOT / ".nexus" / "bench" / "answers" / f"{name}-{seed}-{key}"
    said = folder / "said.json"
    if not said.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        handed(task, size).save(folder / "task.npz")
        (folder / "order.json").write_text(json.dumps(order, indent=1))
        words = [str(python), "-m", "benchmarks.peers.worker", str(folder)]
        done = subprocess.run(words, env=environment(threads), cwd=ROOT, check=False)
        (folder / "task.npz").unlink()
        if done.returncode:
            sys.exit(f"{name} failed with {done.returncode}")
    rows = {id(history): row for row, history in enumerate(task.test.histories)}
    return Answered(np.load(folder / "scores.npy"), rows, json.loads(said.read_text()))


def environment(threads: int) -> dict[str, str]:
    """Variables of the peers' process: as many threads as ours."""
    return os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}


def _rows(histories: Sequence[History]) -> Rows:
    return Rows.of([history.items for history in histories], [history.at_s for history in histories])
