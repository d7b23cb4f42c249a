"""``doctor``: looks for what may be wrong, and says what to do about each.

Belongs here: checks that only look. Does not belong here: mending.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from nexus.cli.output import console
from nexus.errors import NexusError

if TYPE_CHECKING:
    from nexus.runtime.home import Home
    from nexus.settings import Settings

LEAST_DISK_BYTES = 2_000_000_000
LEAST_MEMORY_BYTES = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``remedy`` is set when it is not well."""

    name: str
    said: str
    remedy: str | None = None
    is_warning: bool = False


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example:  bin/nexus doctor")(doctor)


def doctor() -> None:
    """Check machine, state folder, parts and model; say what to do about each problem."""
    from nexus.runtime.home import Home
    from nexus.runtime.state import user_settings

    out = console()
    user = user_settings()
    home = Home(user.home)
    problems = 0
    for check in (_machine, _folder, _ports, _parts, _model):
        for finding in check(home, user):
            is_well = finding.remedy is None
            word = (
                Text("ok   ", "green")
                if is_well
                else Text("warn ", "yellow")
                if finding.is_warning
                else Text("FAIL ", "bold red")
            )
            out.print(word + Text(f"{finding.name:<20} {finding.said}"))
            if finding.remedy:
                out.print(Text(f"     -> {finding.remedy}", "dim"))
            problems += not is_well and not finding.is_warning
    if problems:
        out.print(f"{problems} problem{'s' if problems > 1 else ''} found", style="bold red")
        raise typer.Exit(1)
    out.print("no problem found", style="bold green")


def _machine(home: Home, _user: Settings) -> Iterator[Finding]:
    import psutil

    is_known = (3, 11) <= sys.version_info < (3, 14)
    yield Finding("python", platform.python_version(), None if is_known else "install Python 3.11, 3.12 or 3.13")
    memory = psutil.virtual_memory().available
    yield Finding(
        "memory",
        f"{memory / 1e9:.1f} GB free",
        None
        if memory >= LEAST_MEMORY_BYTES
        else "close other programs; the platform and a training run take about 3 GB",
        is_warning=True,
    )
    from nexus.runtime import postgres, redis, temporal

    programs: tuple[tuple[str, Callable[[], object]], ...] = (
        ("postgres", postgres.binaries), ("redis", redis.binary), ("temporal", temporal.binary),
    )  # fmt: skip
    for name, find in programs:
        try:
            yield Finding(f"{name} program", str(find()))
        except NexusError as error:
            yield Finding(f"{name} program", error.message, error.remedy)
    existing = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    yield Finding(
        "disk", f"{free / 1e9:.1f} GB free", None if free >= LEAST_DISK_BYTES else f"free some space on {existing}"
    )


def _folder(home: Home, _user: Settings) -> Iterator[Finding]:
    existing = next(path for path in (home.root, *home.root.parents) if path.exists())
    is_writable = os.access(existing, os.W_OK) and existing.is_dir()
    yield Finding(
        "state folder",
        str(home.root) if home.root.exists() else f"{home.root} (not made yet)",
        None if is_writable else "set NEXUS_HOME to a folder that you may write",
    )
    for name in ("secrets.json", "run/endpoints.json"):
        path = home.root / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding(name, "others may read its passwords", f"chmod 600 {path}")
    if not home.root.exists():
        return
    from nexus.runtime import postgres

    try:
        postgres.run_as(home.root / "postgres" / "data")
    except NexusError as error:
        yield Finding("postgres user", error.message, error.remedy)


def _ports(home: Home, user: Settings) -> Iterator[Finding]:
    from nexus.runtime import ports, state
    from nexus.runtime.supervisor import Supervisor

    if Supervisor(home).pid() is not None:
        return
    for area, port_field, url_field in sorted(set(state.LISTENERS.values())):
        group = getattr(user, area)
        if getattr(group, url_field) is not None or not getattr(group, port_field):
            continue
        port = getattr(group, port_field)
        if not ports.is_free(port):
            is_fixed = port_field in group.model_fields_set
            wish = ports.Wish(area, port, f"{area}.{port_field}", is_fixed)
            yield Finding(
                f"port {port}",
                f"taken by another program; {'it was asked for' if is_fixed else 'another one will be used'} ({area})",
                ports.taken(wish, "127.0.0.1").remedy if is_fixed else None,
            )


def _parts(home: Home, user: Settings) -> Iterator[Finding]:
    from nexus.runtime.status import collect

    statuses = collect(home, user)
    if all(part.state == "stopped" for part in statuses):
        yield Finding("parts", "none is running", "run bin/nexus up", is_warning=True)
        return
    for part in statuses:
        is_well = part.state == "running"
        said = f"{part.state}{f', restarted {part.restarts} times' if part.restarts else ''}{f': {part.note}' if part.note else ''}"
        remedy = None if is_well else f"see bin/nexus logs {part.name}; run bin/nexus up to start it again"
        yield Finding(part.name, said, remedy, is_warning=part.state == "starting")


def _model(home: Home, user: Settings) -> Iterator[Finding]:
    from nexus.runtime.home import read_json
    from nexus.runtime.pipeline import Pipeline
    from nexus.runtime.state import known

    champion = read_json(Path(user.bundle_url) / "champion.json").get("version")
    yield Finding(
        "champion model",
        f"version {champion}" if champion else "none yet",
        None if champion else "run bin/nexus up, which trains one",
        is_warning=True,
    )
    state = known(home, user)
    if state is None or importlib.util.find_spec("httpx") is None:
        return
    url = state.settings().dagster.url
    from nexus.runtime.probes import NotReadyError, ask_http

    try:
        ask_http(f"{url}/server_info")
    except NotReadyError:
        return
    last = Pipeline(url or "", home.root).last("pipeline")
    if last is not None:
        is_well = last[1] not in {"FAILURE", "CANCELED"}
        remedy = None if is_well else f"see {url}/runs/{last[0]}, then run bin/nexus pipeline run"
        yield Finding("last pipeline run", last[1].lower(), remedy)
