"""``status`` and ``logs``: how the platform is, and what it says.

Belongs here: tables and tails. Does not belong here: judging a part's state (nexus.runtime.status).
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli.output import console, megabytes
from nexus.errors import invalid

if TYPE_CHECKING:
    from nexus.runtime.home import Home

_POLL_S = 0.3
_STYLES = {"running": "green", "starting": "yellow", "stopped": "dim", "failed": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Examples:  bin/nexus status  |  bin/nexus status --json")(status)
    app.command(epilog="Examples:  bin/nexus logs  |  bin/nexus logs api -f  |  bin/nexus logs worker -n 200")(logs)


def status(
    is_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show every part: state, address, pid, memory."""
    from nexus.runtime.home import Home
    from nexus.runtime.scrape import targets
    from nexus.runtime.state import user_settings
    from nexus.runtime.status import as_json, collect
    from nexus.settings import load

    user = user_settings()
    home = Home(user.home)
    found = collect(home, user)
    if is_json:
        answer = as_json(home, found) | {"metrics": targets(load(home=home.root))}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return
    from rich.text import Text

    out = console()
    out.print(f"home {home.root}", markup=False)
    out.print(Text(f"{'part':<18} {'state':<9} {'pid':>7} {'memory':>8} {'restarts':>8}  address", style="dim"))
    for part in found:
        size = megabytes(part.pss_bytes or part.rss_bytes)
        state = Text(f"{part.state:<9}", style=_STYLES[part.state])
        numbers = f"{part.pid or '':>7} {size:>8} {part.restarts or '':>8}"
        out.print(Text(f"{part.name:<18} ") + state + Text(f" {numbers}  {part.url or ''}"))
    total = sum(part.pss_bytes or part.rss_bytes or 0 for part in found)
    if total:
        out.print(f"memory of all parts: {megabytes(total)} (proportional share)")
    for part in found:
        if part.note:
            out.print(f"  {part.name}: {part.note}", markup=False)
    if not any(part.state == "running" for part in found):
        out.print("start it: bin/nexus up")
    elif said := alerts_line(is_up=any(part.name == "postgres" and part.state == "running" for part in found)):
        out.print(Text(said, style="yellow"))


def alerts_line(*, is_up: bool) -> str | None:
    """How many alerts are open, in words; None when there is none, or the database can't be asked."""
    if not is_up:
        return None
    from nexus.alerts import open_count
    from nexus.settings import load

    count = open_count(load())
    return f"{count} open alert{'s' if count > 1 else ''}: bin/nexus alerts" if count else None


def logs(
    part: Annotated[str | None, typer.Argument(help="A part as in `bin/nexus status`; all when left out.")] = None,
    is_following: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many of the last lines.")] = 40,
) -> None:
    """Show what the parts write."""
    from nexus.runtime.home import Home
    from nexus.runtime.parts import NAMES, OPTIONAL
    from nexus.runtime.state import user_settings

    home = Home(user_settings().home)
    known = (*NAMES, *OPTIONAL, "runs", "supervisor", "cli")
    if part is not None and part not in known:
        raise invalid("no such part", field="part", value=part, remedy=f"one of: {', '.join(known)}")
    names = (part,) if part else NAMES
    if not is_following:
        for name in names:
            _tail(home.log(name), lines, name if part is None else None)
        return
    try:
        follow(home, names, lines=lines, is_going_on=lambda: True)
    except KeyboardInterrupt:
        return


def _tail(path: Path, count: int, label: str | None) -> None:
    try:
        with path.open(errors="replace") as file:
            last = deque(file, maxlen=count)
    except OSError:
        last = deque()
    for line in last:
        _write(line, label)


def _write(line: str, label: str | None) -> None:
    sys.stdout.write(f"{label:<18} {line.rstrip()}\n" if label else line.rstrip() + "\n")


def follow(home: Home, names: Iterable[str], *, lines: int, is_going_on: Callable[[], bool]) -> None:
    """Write the last lines of logs and then every new one, through rotations, as long as it goes on."""
    names = tuple(names)
    at: dict[str, int] = {}
    for name in names:
        label = name if len(names) > 1 else None
        _tail(home.log(name), lines, label)
        at[name] = _size(home.log(name))
    while is_going_on():
        for name in names:
            at[name] = _news(home.log(name), at[name], name if len(names) > 1 else None)
        sys.stdout.flush()
        time.sleep(_POLL_S)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _news(path: Path, at: int, label: str | None) -> int:
    """Write what was added since; returns where it ends now."""
    size = _size(path)
    start = at if size >= at else 0
    if size == start:
        return size
    with path.open("rb") as file:
        file.seek(start)
        text = file.read(size - start)
    whole = text.rpartition(b"\n")[0]
    for line in whole.decode(errors="replace").splitlines():
        _write(line, label)
    return start + len(whole) + bool(whole)
