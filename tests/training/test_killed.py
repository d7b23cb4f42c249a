"""``bin/nexus train`` is killed (SIGKILL) at ten points, started again each time, and comes to what an undisturbed run comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.settings import ROOT
from training.bundle_format import read_files

pytestmark = pytest.mark.slow

TIMES = {"seconds", "scores_ms", "contributions_ms", "events_per_s", "created_at"}
"""What a clock says."""


def without_times(found: object) -> object:
    """The same without what a clock says."""
    if isinstance(found, dict):
        return {name: without_times(value) for name, value in found.items() if name not in TIMES}
    return [without_times(value) for value in found] if isinstance(found, list) else found


def test_train__killed_at_every_point_and_started_again__comes_to_the_same(tmp_path: Path) -> None:
    data = tmp_path / "plays.txt"
    data.write_text(
        "".join(
            f"v{viewer} t{(3 * viewer + step) % 15} {100 * viewer + step}\n"
            for viewer in range(12)
            for step in range(8)
        )
    )
    words = ["train", "sequence-debug", "--data", str(data), "--device", "cpu", "--seed", "4", "--json"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), *words, str(whole), str(killed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NEXUS_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[:1] == ["whole 0"], done.stderr[-2000:]
    assert lines[-1] == "never ended 0", done.stderr[-2000:]
    assert [line for line in lines[1:-1] if not line.endswith(" killed")] == []
    assert len(lines) == 12
    for name in ("ranks.csv", "vocabulary.json", "model.onnx"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    summaries = [without_times(json.loads((out / "summary.json").read_text())) for out in (whole, killed)]
    assert summaries[0] == summaries[1]
    assert read_files(killed).manifest.metrics == read_files(whole).manifest.metrics
    left = {item.name for item in killed.iterdir()} - {item.name for item in whole.iterdir()}
    assert left == set()
