"""Environments of tools that cannot live beside NEXUS: DVC, and JVM Spark with Delta.

Belongs here: asking ``bin/nexus`` (the one place that knows how to install) for such an environment.
Does not belong here: what the tools do.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

from nexus.errors import Category, NexusError
from nexus.settings import ROOT

Tool = Literal["dvc", "spark"]


def environment(tool: Tool) -> Path:
    """The folder of a tool's virtual environment; made on first use from ``deploy/environments/TOOL.txt``.

    Raises:
        NexusError: category ``unavailable`` with what the installer said.
    """
    ready = ROOT / ".tools" / tool
    wants = ROOT / "deploy" / "environments" / f"{tool}.txt"
    stamp = ready / ".wants"
    if stamp.is_file() and stamp.read_bytes() == wants.read_bytes():
        return ready
    # sh, not a shebang: the checkout may lie on a disk that is mounted noexec.
    made = subprocess.run(
        ["/bin/sh", str(ROOT / "bin" / "nexus"), "environment", tool],
        capture_output=True,
        text=True,
        env={**os.environ, "TERM": "dumb"},
        check=False,
    )
    if made.returncode:
        raise NexusError(
            f"the environment of {tool} could not be made: {made.stderr.strip()[-400:]}",
            category=Category.UNAVAILABLE,
            field="tool",
            value=tool,
            remedy=f"check the network or the package index, then run bin/nexus environment {tool}",
        )
    return Path(made.stdout.strip())
