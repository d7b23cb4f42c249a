"""What a command, the API, the worker or the code location loads must stay light."""

import subprocess
import sys

import pytest

from nexus.settings import ROOT

pytestmark = pytest.mark.integration

HEAVY = "torch lightning mlflow feast pyspark pysail transformers matplotlib"


@pytest.mark.parametrize(
    "module", ["nexus.cli.main", "assets.definitions", "serving.app", "workflows.worker", "training.cli"]
)
def test_import__of_an_entry_point__loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(' '.join(name for name in '{HEAVY}'.split() if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
