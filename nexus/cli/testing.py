"""``test``: every check that a change has to pass.

Belongs here: running the tools and adding up. Does not belong here: tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from nexus.cli.output import console, progress_line
from nexus.settings import ROOT

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lint", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("types", ("mypy",)),
    ("import rules", ("lint-imports",)),
)
# The order is that of tests/conftest.py. A third worker gains nothing on two cores: whole platforms crowd each other out.
# A worker that dies ends the run: with one put in its place xdist 3.8 waits for ever, each side for the other.
DEFAULT_ARGUMENTS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart", "0")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "test",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--help"]},
        epilog="Examples:  bin/nexus test  |  bin/nexus test tests/nexus/cli -k port  |  bin/nexus test -m unit",
    )(check)


def check(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]...", help="Handed to pytest; then nothing else runs.")
    ] = None,
) -> None:
    """Check the code and run the tests."""
    out = console()
    environment = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "NEXUS_HOME"}
    }
    if arguments:
        raise typer.Exit(_pytest(arguments, environment))
    failed = []
    out.print("checks")
    for name, words in CHECKS:
        began = time.monotonic()
        done = subprocess.run(
            [str(Path(sys.executable).parent / words[0]), *words[1:]],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        out.print(progress_line(name, time.monotonic() - began, " ".join(words), is_well=done.returncode == 0))
        if done.returncode != 0:
            failed.append(name)
            out.print(done.stdout.strip(), markup=False)
        out.file.flush()
    out.print(
        f"checks: {len(CHECKS) - len(failed)} of {len(CHECKS)} passed{'; FAILED: ' + ', '.join(failed) if failed else ''}"
    )
    out.print("tests")
    out.file.flush()
    code = _pytest(list(DEFAULT_ARGUMENTS), environment)
    raise typer.Exit(code or int(bool(failed)))


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    words = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode
