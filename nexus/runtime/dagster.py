"""Dagster's three processes: their words and the folder they share.

Belongs here: DAGSTER_HOME, workspace.yaml, environment, command lines, and moving its storage to a new version.
Does not belong here: definitions (assets), launching runs (pipeline.py). Nothing here imports dagster.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from nexus.runtime.command import Command
from nexus.runtime.home import Home
from nexus.settings import ROOT, Settings

HEALTH_SERVICE = "DagsterApi"
LOCATION = "nexus"
MODULE, ATTRIBUTE = "assets.definitions", "defs"


def environment(home: Home, settings: Settings) -> dict[str, str]:
    """What Dagster's processes, and the runs they start, find in their environment."""
    url = settings.postgres.owner_url(driver="", database=settings.postgres.dagster_database)
    return {
        "DAGSTER_HOME": str(home.dagster),
        "NEXUS_DAGSTER_POSTGRES_URL": url,
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MPLCONFIGDIR": str(home.root / "cache" / "matplotlib"),
    }


def write_home(home: Home, code_port: int) -> None:
    """Write the instance's configuration into DAGSTER_HOME."""
    home.dagster.mkdir(exist_ok=True)
    (home.dagster / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    (home.dagster / "workspace.yaml").write_text(
        f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {code_port}, location_name: {LOCATION}}}\n"
    )


def migrate(home: Home, settings: Settings) -> None:
    """Bring Dagster's tables to the installed version; at the first start its processes make them by themselves."""
    stamp = home.dagster / "version"
    installed = version("dagster")
    if stamp.exists() and stamp.read_text() != installed:
        words = (sys.executable, "-m", "dagster", "instance", "migrate")
        Command(words, env=environment(home, settings), cwd=str(ROOT)).run(timeout_s=300)
    stamp.write_text(installed)


def code_words(port: int) -> tuple[str, ...]:
    """The code server: it loads the definitions and starts the runs.

    Started by its script, not by ``-m dagster``: only then has ``__main__`` of a spawned run a file, without which
    pyspark takes the run for its own doctests and exits.
    """
    return (
        str(Path(sys.executable).parent / "dagster"), "api", "grpc", "-m", MODULE, "-a", ATTRIBUTE, "-h", "127.0.0.1", "-p", str(port),
        "-d", str(ROOT), "--use-python-environment-entry-point", "--location-name", LOCATION,
        "--log-level", "warning", "--log-format", "json",
    )  # fmt: skip


def webserver_words(home: Home, port: int) -> tuple[str, ...]:
    """The web page and GraphQL."""
    return (
        "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", _workspace(home),
        "--log-level", "warning", "--dagster-log-level", "warning", "--log-format", "json", "--suppress-warnings",
    )  # fmt: skip


def daemon_words(home: Home) -> tuple[str, ...]:
    """Queue, schedules, sensors, watching of runs."""
    return ("-m", "dagster._daemon", "run", "-w", _workspace(home), "--log-level", "info", "--log-format", "json")


def _workspace(home: Home) -> str:
    return str(Path(home.dagster) / "workspace.yaml")
