"""The command line: one typer app, commands of every area, and the door that no traceback passes.

Belongs here: collecting commands and turning errors into words and exit codes.
Does not belong here: what a command does (one module per group of commands).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

import typer

from nexus.cli import alerts, docs, doctor, look, platform, testing, trace
from nexus.cli.output import console, safe_streams, show_error
from nexus.errors import Category, NexusError

# Commands of other areas, found by name: nexus imports none of them.
AREAS = (
    "media.cli",
    "contracts.cli",
    "assets.cli",
    "workflows.cli",
    "serving.cli",
    "training.cli",
    "training.train_cli",
)
EXIT_INVALID, EXIT_FAILED, EXIT_UNEXPECTED, EXIT_INTERRUPTED = 2, 1, 70, 130


def build_app() -> typer.Typer:
    """Every command."""
    app = typer.Typer(
        name="nexus",
        help="Recommendations that stay at home.\n\n"
        "[bold]bin/nexus up[/bold] starts everything; [bold]bin/nexus status[/bold] shows how it is.",
        epilog="Examples:  bin/nexus up  |  bin/nexus recommend movielens:1  |  bin/nexus logs api -f  |  bin/nexus down",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in (platform, look, alerts, doctor, docs, testing, trace):
        module.register(app)
    for name in AREAS:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name).register(app)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    safe_streams()
    try:
        build_app()(args=arguments, prog_name="bin/nexus")
    except NexusError as error:
        show_error(error)
        return EXIT_INVALID if error.category is Category.INVALID else EXIT_FAILED
    except KeyboardInterrupt:
        console(is_error=True).print("interrupted")
        return EXIT_INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:  # noqa: BLE001 - the door of the house: whatever comes becomes one line and a file
        where = _keep_traceback()
        out = console(is_error=True)
        out.print(
            f"error: unexpected {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            markup=False,
        )
        out.print(f"  details: {where}", markup=False)
        return EXIT_UNEXPECTED
    return 0


def _keep_traceback() -> Path:
    """Write the current traceback where it can be found; returns the file."""
    text = f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv)}\n{traceback.format_exc()}\n"
    home = Path(os.environ.get("NEXUS_HOME") or Path(__file__).resolve().parents[2] / ".nexus").expanduser()
    try:
        path = home / "logs" / "cli.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)
    except OSError:
        handle, name = tempfile.mkstemp(prefix="nexus-cli-", suffix=".log", text=True)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        return Path(name)
    return path
