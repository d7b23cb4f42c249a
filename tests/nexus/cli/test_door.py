"""``python -m nexus.cli`` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.settings import ROOT

pytestmark = pytest.mark.integration

_AS_A_BACKGROUND_JOB = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.argv = ["nexus", "--help"]
try:
    runpy.run_module("nexus.cli", run_name="__main__")
except SystemExit:
    pass
print("hears" if signal.getsignal(signal.SIGINT) is signal.default_int_handler else "is deaf")
"""


def test_door__started_by_a_script_in_the_background__what_it_starts_hears_signals(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AS_A_BACKGROUND_JOB],
        env=os.environ | {"NEXUS_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.rstrip().endswith("hears")
