"""``quarantine``: what was refused and why, corrections, judging it again.

Belongs here: the commands. Does not belong here: rows and corrections (nexus.lake.quarantine), the rules, running jobs.
"""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nexus.settings import Settings, load, not_started

_WIDTH = 100
_Source = Annotated[str | None, typer.Option(help="Only this source, such as movielens.ratings or nexus.events.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Rows that were refused: list them, correct them, judge them again.", no_args_is_help=True)
    group.command("list", epilog="Examples:  bin/nexus quarantine list  |  bin/nexus quarantine list --json")(list_)
    group.command("show", epilog="Example:  bin/nexus quarantine show movielens.ratings:movielens-1f2e:ratings.csv:7")(
        show
    )
    group.command(
        "replay",
        epilog="Examples:  bin/nexus quarantine replay  |  bin/nexus quarantine replay --with corrections.csv",
    )(replay)
    app.add_typer(group, name="quarantine")


def list_(source: _Source = None, is_json: _Json = False) -> None:
    """Count refused rows by source, field and reason, with some of each."""
    from nexus.cli.output import console
    from nexus.lake import quarantine
    from nexus.lake.lake import opened

    with opened(load()) as lake:
        found = quarantine.groups(lake, source=source)
    total = sum(group.rows for group in found)
    if is_json:
        groups = [
            {"source": one.source, "field": one.field, "reason": one.reason, "rows": one.rows, "samples": one.samples}
            for one in found
        ]
        _write({"rows": total, "groups": groups})
        return
    out = console()
    if not found:
        out.print("nothing is in quarantine")
        return
    out.print(f"{'rows':>10}  {'source':<24}{'field':<16}reason")
    for group in found:
        out.print(f"{group.rows:>10,}  {group.source:<24}{group.field:<16}{group.reason}", markup=False)
        for sample in group.samples:
            out.print(f"{'':12}{sample['row_key']}  {sample['raw_text'][:_WIDTH]}", markup=False, style="dim")
    out.print("  next:  bin/nexus quarantine show ROW_KEY   bin/nexus quarantine replay --with corrections.csv")


def show(
    row_key: Annotated[str, typer.Argument(help="As in bin/nexus quarantine list.")], is_json: _Json = False
) -> None:
    """One refused row: the line as it arrived, what is wrong, what people said about it."""
    from nexus.cli.output import console
    from nexus.lake import quarantine
    from nexus.lake.lake import opened

    with opened(load()) as lake:
        found = quarantine.row(lake, row_key)
    if is_json:
        _write(found)
        return
    out = console()
    for name, value in found.items():
        if name != "corrections":
            out.print(f"{name:<16} {value}", markup=False)
    for one in found["corrections"]:
        out.print(
            f"corrected        {one['field']} = {one['value']} ({one['corrected_by']}, {one['corrected_at']:%Y-%m-%d})",
            markup=False,
        )


def replay(
    source: _Source = None,
    corrections: Annotated[
        Path | None, typer.Option("--with", help="CSV with row_key,field,value: what the rows should have said.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who asks for it; kept with it. Default: your user name.")] = None,
    is_json: _Json = False,
) -> None:
    """Judge refused rows by today's rules; what passes goes on to core, once, the rest is kept. Raw rows stay as they are."""
    from nexus.cli.output import Progress, console
    from nexus.cli.runs import run_job
    from nexus.lake import quarantine
    from nexus.lake.lake import opened

    settings = load()
    who = by or getpass.getuser()
    correction_id, recorded = None, 0
    with opened(settings) as lake:
        before = set(quarantine.refused(lake, source)["row_key"])
        if corrections is not None:
            correction_id, given = quarantine.read_corrections(lake, corrections)
        _require_dagster(settings)
        if correction_id is not None:
            recorded = quarantine.record_corrections(lake, correction_id, given, by=who)
    with Progress(console(is_error=is_json)) as progress:
        run_job(settings, progress, "core")
    with opened(settings) as lake:
        after = set(quarantine.refused(lake, source)["row_key"])
        done = quarantine.record_replay(lake, before, after, source=source, correction_id=correction_id, by=who)
    if is_json:
        facts = {"replay_id": done.replay_id, "considered": done.considered, "passed": done.passed, "kept": done.kept}
        _write(facts | {"corrections": recorded, "correction_id": correction_id, "passed_keys": done.passed_keys})
        return
    out = console()
    for line in quarantine.describe(done):
        out.print(line, markup=False)
    out.print("marts and features follow by themselves.  next:  bin/nexus quarantine list")


def _require_dagster(settings: Settings) -> None:
    if settings.dagster.url is None:
        raise not_started("dagster")


def _write(facts: Any) -> None:
    sys.stdout.write(json.dumps(facts, default=str) + "\n")
