"""``up``, ``down``, ``reset``: the platform as a whole.

Belongs here: the order of what a person sees. Does not belong here: how parts start (nexus.runtime).
"""

from __future__ import annotations

import importlib
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli.output import Progress, console
from nexus.errors import Category, NexusError

if TYPE_CHECKING:
    from nexus.runtime.home import Home
    from nexus.runtime.orchestrator import Started
    from nexus.settings import Settings

JOB = "pipeline"
_DOWN_WAITS_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Examples:  bin/nexus up  |  bin/nexus up --with web3  |  NEXUS_HOME=/data/nexus bin/nexus up")(
        up
    )
    app.command(epilog="Example:  bin/nexus down")(down)
    app.command(epilog="Example:  bin/nexus reset --yes && bin/nexus up")(reset)


def up(
    is_attached: Annotated[
        bool, typer.Option("--attach", help="Stay, show the logs; Ctrl-C stops everything.")
    ] = False,
    is_without_pipeline: Annotated[
        bool, typer.Option("--no-pipeline", help="Start the parts only; load and train nothing.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help="Start only this part and what it needs; may be repeated."),
    ] = None,
    wanted: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="AREA", help="Also run these parts, now and from now on: web3 (chain, IPFS)."),
    ] = None,
    unwanted: Annotated[
        list[str] | None, typer.Option("--without", metavar="AREA", help="No longer run these parts; their data stays.")
    ] = None,
) -> None:
    """Start the platform; the first time also load data, train and promote a model.

    Everything runs in the background when this returns. A second `up` starts what is missing, and nothing else.
    """
    from nexus.runtime.home import Home
    from nexus.runtime.lock import hold
    from nexus.runtime.state import choose, user_settings

    user = user_settings()
    home = Home(user.home)
    home.ensure()
    _interrupt_on_terminate()
    out = console()
    with ExitStack() as stack:
        stack.enter_context(hold(home.run / "lock", "up"))
        choose(home, user, wanted or [], unwanted or [])
        try:
            _up(home, user, only or [], is_without_pipeline=is_without_pipeline or bool(only))
        except KeyboardInterrupt:
            out.print("\ninterrupted; what was started keeps running.")
            out.print("  go on:   bin/nexus up")
            out.print("  look:    bin/nexus status")
            out.print("  stop:    bin/nexus down")
            raise typer.Exit(130) from None
    if is_attached:
        _attach(home)


def _interrupt_on_terminate() -> None:
    """SIGTERM (``bin/nexus down`` from elsewhere) ends ``up`` as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _up(home: Home, user: Settings, only: list[str], *, is_without_pipeline: bool) -> None:
    from nexus.runtime.orchestrator import Orchestrator

    out = console()
    began = time.monotonic()
    out.print(f"NEXUS in {home.root}", markup=False)
    out.print("parts")
    with Progress(out) as progress:
        state, results = Orchestrator(home, user, progress).up(only)
        failed = [result for result in results if result.reason is not None]
        settings = state.settings()
        if not is_without_pipeline and _can_run_pipeline(failed):
            _pipeline(settings, progress, None if state.is_external("dagster") else home.root)
    out.print(f"{'up' if not failed else 'partly up'} after {time.monotonic() - began:.1f} s", style="bold")
    if failed:
        raise NexusError(
            f"{len(failed)} of {len(results)} did not come up: {', '.join(result.name for result in failed)}",
            category=Category.UNAVAILABLE,
            remedy="see bin/nexus doctor and bin/nexus logs PART; then run bin/nexus up again",
        )
    if not only:
        from nexus.cli.summary import show

        show(settings, out)


def _can_run_pipeline(failed: list[Started]) -> bool:
    return not any(result.name not in {"api", "worker", "chain", "ipfs", "contracts"} for result in failed)


def _pipeline(settings: Settings, progress: Progress, home: Path | None) -> None:
    """Load and train unless there is a champion."""
    from nexus.cli.runs import run_job
    from nexus.runtime.pipeline import Pipeline

    if (Path(settings.bundle_url) / "champion.json").exists():
        Pipeline(settings.dagster.url or "", home).clear_dead()
        _repair_model(settings, progress)
        progress.say("data and model: there already (bin/nexus pipeline run makes them anew)")
        return
    progress.say("data")
    if settings.jellyfin.url is None:
        began = time.monotonic()
        progress.began("stage default data")
        importlib.import_module("media.cli").stage_default(settings)
        progress.is_ready("stage default data", time.monotonic() - began)
    else:  # a library of one's own takes the place of the default data, as a load does
        progress.say(f"from Jellyfin at {settings.jellyfin.url}")
    run_job(settings, progress, JOB)


def _repair_model(settings: Settings, progress: Progress) -> None:
    """Fetch the champion's files again when they are not those that were published."""
    from nexus.runtime.home import Home

    doctor = importlib.import_module("training.doctor")
    for finding in doctor.findings(Home(settings.home), settings):
        if finding.mend is not None:
            progress.say(finding.said)
            began = time.monotonic()
            progress.began("repair of the model")
            try:
                said = finding.mend()
            except NexusError as error:  # the platform works without it, on a lower rung
                progress.failed("repair of the model", str(error), time.monotonic() - began)
            else:
                progress.is_ready("repair of the model", time.monotonic() - began, said)


def _attach(home: Home) -> None:
    """Show the logs until Ctrl-C (then stop everything) or until somebody else stops the platform."""
    from nexus.cli.look import follow
    from nexus.runtime.parts import NAMES
    from nexus.runtime.supervisor import Supervisor

    supervisor = Supervisor(home)
    try:
        follow(home, NAMES, lines=0, is_going_on=lambda: supervisor.pid() is not None)
    except KeyboardInterrupt:
        _down(home)


def down() -> None:
    """Stop every part; data stays."""
    from nexus.runtime.home import Home
    from nexus.runtime.state import user_settings

    home = Home(user_settings().home)
    if not home.run.is_dir():
        console().print(f"nothing runs in {home.root}", markup=False)
        return
    home.ensure()
    _down(home)


def _down(home: Home) -> None:
    from nexus.runtime.lock import hold
    from nexus.runtime.orchestrator import Orchestrator
    from nexus.runtime.state import user_settings

    out = console()
    began = time.monotonic()
    with hold(home.run / "lock", "down", wait_s=_DOWN_WAITS_S, is_interrupting=True), Progress(out) as progress:
        count = Orchestrator(home, user_settings(), progress).down()
    said = f"stopped {count} processes in {time.monotonic() - began:.1f} s" if count else "nothing was running"
    out.print(f"{said}; data stays in {home.root}", markup=False)


def reset(
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop everything and delete all state: data, models, logs."""
    from nexus.runtime.home import Home
    from nexus.runtime.state import user_settings

    home = Home(user_settings().home)
    if not home.root.exists():
        console().print(f"there is nothing in {home.root}", markup=False)
        return
    if not (home.root / "run").is_dir():
        raise NexusError(
            "this folder was not made by bin/nexus up",
            category=Category.FORBIDDEN,
            field="home",
            value=home.root,
            remedy="check NEXUS_HOME; delete the folder by hand if it is the right one",
        )
    if not is_sure and not typer.confirm(f"Delete everything in {home.root}?"):
        console().print("nothing was deleted")
        raise typer.Exit(1)
    home.ensure()
    _down(home)
    keep = {"settings.toml"}
    for item in home.root.iterdir():
        if item.name in keep:
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()
    console().print(f"deleted; bin/nexus up begins anew in {home.root}", markup=False)
