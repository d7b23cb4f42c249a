"""``pipeline run``: the whole graph, from what arrived to what is served.

Belongs here: the command. Does not belong here: launching and following a run (nexus.cli.runs).
"""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Annotated

import typer

from nexus.settings import load, not_started


class Job(StrEnum):
    """What can be run; the names of assets.jobs, which this module does not load."""

    PIPELINE = "pipeline"
    EVENTS = "events"
    CORE = "core"
    CARE = "care"
    CHAIN = "chain"
    SWEEP = "sweep"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The graph of tables, features and models.", no_args_is_help=True)
    group.command("run", epilog="Examples:  bin/nexus pipeline run  |  bin/nexus pipeline run --job events")(run)
    app.add_typer(group, name="pipeline")
    importlib.import_module("assets.quarantine_cli").register(app)


def run(
    job: Annotated[
        Job,
        typer.Option(
            help="pipeline: everything; events: only what the API received; chain: tokens; sweep: compare recipes and seeds."
        ),
    ] = Job.PIPELINE,
) -> None:
    """Make everything anew from what is staged and what the API received; follow the run to its end."""
    from nexus.cli.output import Progress, console
    from nexus.cli.runs import run_job

    settings = load()
    if settings.dagster.url is None:
        raise not_started("dagster")
    out = console()
    with Progress(out) as progress:
        importlib.import_module("media.cli").stage_default(settings)
        outcome = run_job(settings, progress, job)
    out.print(f"{job} done after {outcome.seconds:.1f} s", style="bold")
    out.print("  next:  bin/nexus models list   bin/nexus recommend movielens:1")
