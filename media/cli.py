"""``load``: bring what people watched and rated onto the platform.

Belongs here: the commands, and staging the default data. Does not belong here: formats (media.sources).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.settings import Settings, load

if TYPE_CHECKING:
    from rich.console import Console

    from media.sources.base import Source, Staged
    from media.sources.review import Review

JOB = "pipeline"
_MOST_REASONS = 10
_NoRun = Annotated[bool, typer.Option("--no-run", help="Only stage the data; the next pipeline run takes it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Bring ratings and titles onto the platform.", no_args_is_help=True)
    group.command(
        "movielens",
        epilog="Examples:  bin/nexus load movielens ml-latest-small.zip  |  bin/nexus load movielens FOLDER --no-run",
    )(movielens)
    group.command("default", epilog="Example:  bin/nexus load default")(default)
    app.add_typer(group, name="load")


def stage_default(settings: Settings) -> None:
    """Stage the default data, unless something was staged before (a person's own load takes its place)."""
    from media.sources.base import staged_loads
    from media.sources.dslabs import DslabsMovieLens

    if not staged_loads(settings.inbox):
        DslabsMovieLens().stage(settings.inbox)


def movielens(
    path: Annotated[Path, typer.Argument(help="Folder or zip with ratings.csv and movies.csv (links.csv if there).")],
    is_staged_only: _NoRun = False,
) -> None:
    """Load a data set in the MovieLens layout; bad lines are quarantined with the reason, the rest goes on."""
    from media.sources.movielens import MovieLens

    _load(MovieLens(path), is_staged_only)


def default(is_staged_only: _NoRun = False) -> None:
    """Load the 100,004 ratings that the environment ships."""
    from media.sources.dslabs import DslabsMovieLens

    _load(DslabsMovieLens(), is_staged_only)


def _load(source: Source, is_staged_only: bool) -> None:
    from media.sources.base import staged_loads
    from media.sources.review import is_taken, review
    from nexus.cli.output import Progress, console
    from nexus.cli.runs import run_job
    from nexus.lake.lake import opened

    settings = load()
    out = console()
    began = time.monotonic()
    staged = source.stage(settings.inbox)
    with opened(settings) as lake:
        was_taken = is_taken(lake, staged)
        _show(out, staged, review(lake, staged), time.monotonic() - began)
    if was_taken:
        out.print("this load is in the lake already: nothing changes")
        return
    if any(other.load_id != staged.load_id for other in staged_loads(settings.inbox)):
        out.print("note: other loads are there too; viewers with the same number in both count as one viewer")
        out.print("      (to have this load alone: bin/nexus reset, load it with --no-run, bin/nexus up)")
    if is_staged_only:
        out.print("staged; next: bin/nexus pipeline run")
        return
    if not _runs(settings):
        out.print("staged; the platform is down.  next:  bin/nexus up   bin/nexus pipeline run")
        return
    with Progress(out) as progress:
        outcome = run_job(settings, progress, JOB)
    out.print(f"loaded and everything made anew after {outcome.seconds:.1f} s", style="bold")
    out.print("  next:  bin/nexus recommend movielens:1   bin/nexus models list")


def _runs(settings: Settings) -> bool:
    """Whether Dagster answers."""
    from nexus.runtime.probes import NotReadyError, http

    if settings.dagster.url is None:
        return False
    try:
        http(f"{settings.dagster.url}/server_info")
    except NotReadyError:
        return False
    return True


def _show(out: Console, staged: Staged, reviews: dict[str, Review], seconds: float) -> None:
    out.print(f"{staged.load_id} ({staged.origin}), read in {seconds:.1f} s", markup=False)
    out.print(f"  {'':8} {'read':>12} {'accepted':>12} {'quarantined':>12}")
    for name, counted in reviews.items():
        refused = sum(counted.refused.values())
        out.print(f"  {name:8} {counted.read:>12,} {counted.accepted:>12,} {refused:>12,}")
    for name, counted in reviews.items():
        reasons = list(counted.refused.items())
        for reason, rows in reasons[:_MOST_REASONS]:
            out.print(f"    {name}: {reason}: {rows:,}", markup=False)
        if len(reasons) > _MOST_REASONS:
            out.print(f"    {name}: and {len(reasons) - _MOST_REASONS} other reasons")
