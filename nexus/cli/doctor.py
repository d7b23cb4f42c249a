"""``doctor``: looks for what may be wrong, says what to do about each, and does it when asked.

Belongs here: the list of checks and printing. Does not belong here: the checks (nexus.doctor, and ``doctor`` of each area).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli.output import console
from nexus.errors import NexusError

if TYPE_CHECKING:
    from nexus.doctor.finding import Check, Finding

# Checks of other areas, found by name: nexus imports none of them.
AREAS = ("training.doctor", "media.doctor")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Examples:  bin/nexus doctor  |  bin/nexus doctor --json  |  bin/nexus doctor --fix")(doctor)


def doctor(
    is_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    is_mending: Annotated[
        bool, typer.Option("--fix", help="Also do what a remedy says, where no decision is needed; copies are kept.")
    ] = False,
) -> None:
    """Check settings, machine, state folder, parts, data and model; say what to do about each problem."""
    found = list(look())
    mended = [_mended(finding) for finding in found if finding.mend is not None] if is_mending else []
    if mended:
        found = list(look())
    problems = sum(finding.verdict == "failed" for finding in found)
    if is_json:
        answer = {"problems": problems, "mended": mended, "findings": [finding.as_dict() for finding in found]}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        _show(found, mended, problems)
    if problems:
        raise typer.Exit(1)


def look() -> Iterator[Finding]:
    """Every finding; wrong settings are findings too, and then nothing else can be looked at."""
    from nexus.doctor.finding import Finding
    from nexus.runtime.home import Home
    from nexus.runtime.state import user_settings

    try:
        user = user_settings()
    except NexusError as error:
        for problem in error.evidence.get("problems") or [{"field": error.field, "reason": error.message, "value": ""}]:
            got = f" (got {problem['value']})" if problem["value"] else ""
            yield Finding(f"setting {problem['field']}", f"{problem['reason']}{got}", error.remedy)
        return
    home = Home(Path(user.home))
    for check in _checks():
        try:
            yield from check(home, user)
        except NexusError as error:
            yield Finding(error.field or check.__name__, error.message, error.remedy or "see bin/nexus logs")
        except OSError as error:
            said = f"{error.filename or check.__name__} could not be looked at: {error.strerror or error}"
            yield Finding(check.__name__.replace("_", " "), said, "see that this user may read the state folder")


def _checks() -> list[Check]:
    from nexus.doctor import data, files, machine, parts, web3

    own: list[Check] = [
        machine.machine,
        web3.programs,
        files.folder,
        files.at_work,
        machine.listening,
        machine.clock,
        parts.parts,
        files.journal,
        web3.kept_chain,
        web3.wrong_choice,
        web3.chain,
        web3.ipfs,
        data.database,
        data.tables,
        data.alerts,
        data.last_run,
    ]
    return own + [importlib.import_module(name).findings for name in AREAS if importlib.util.find_spec(name)]


def _mended(finding: Finding) -> dict[str, str]:
    assert finding.mend is not None  # noqa: S101 (narrows the type)
    try:
        return {"name": finding.name, "said": finding.mend()}
    except NexusError as error:
        return {
            "name": finding.name,
            "said": f"could not be mended: {error.message}; {error.remedy or ''}".rstrip("; "),
        }


def _show(found: list[Finding], mended: list[dict[str, str]], problems: int) -> None:
    from rich.text import Text

    out = console()
    words = {"ok": ("ok   ", "green"), "warning": ("warn ", "yellow"), "failed": ("FAIL ", "bold red")}
    for one in mended:
        out.print(Text(f"fixed {one['name']}: {one['said']}"))
    for finding in found:
        out.print(Text(*words[finding.verdict]) + Text(f"{finding.name:<20} {finding.said}"))
        if finding.remedy:
            out.print(Text(f"     -> {finding.remedy}", "dim"))
    if problems:
        out.print(f"{problems} problem{'s' if problems > 1 else ''} found", style="bold red")
    else:
        out.print("no problem found", style="bold green")
