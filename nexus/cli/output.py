"""What people see: short, aligned, coloured only on a terminal.

Belongs here: the console, errors, sizes, lines of progress. Does not belong here: what the commands do.
"""

from __future__ import annotations

import sys
import threading
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from nexus.errors import NexusError

_WIDTH = 42


def console(*, is_error: bool = False) -> Console:
    """A console that colours only a terminal and never breaks a line by itself."""
    return Console(stderr=is_error, highlight=False, soft_wrap=True)


def show_error(error: NexusError) -> None:
    """The error as a few short lines; several wrong settings one by one."""
    out = console(is_error=True)
    problems = error.evidence.get("problems")
    if isinstance(problems, list) and problems:
        count = f"{len(problems)} settings are wrong" if len(problems) > 1 else "a setting is wrong"
        out.print(Text("error: ", style="bold red") + Text(count))
        for problem in problems:
            got = f" (got {problem['value']})" if problem["value"] else ""
            out.print(Text(f"  {problem['field']}: {problem['reason']}{got}"))
        out.print(Text(" remedy: ", style="dim") + Text(error.remedy or ""))
        return
    out.print(Text("error: ", style="bold red") + Text(error.message))
    for name, fact in (("field", error.field), ("value", error.value), ("remedy", error.remedy)):
        if fact is not None:
            out.print(Text(f"{name:>7}: ", style="dim") + Text(fact))


def megabytes(size: int | None) -> str:
    """A size for people."""
    return "" if size is None else f"{size / 1_000_000:,.0f} MB"


def progress_line(name: str, seconds: float, tail: str = "", *, is_well: bool = True) -> Text:
    """One finished thing: its name, its seconds, and a word more."""
    mark = Text("  ok   ", style="green") if is_well else Text("  FAIL ", style="bold red")
    return mark + Text(f"{name:<{_WIDTH}}") + Text(f"{seconds:6.1f} s  ", style="cyan") + Text(tail, style="dim")


class Progress:
    """Prints what is ready, and on a terminal what is being waited for; safe for several threads."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._waiting: dict[str, None] = {}
        self._status: Status | None = out.status("") if out.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def began(self, name: str) -> None:
        """Something is being waited for."""
        with self._lock:
            self._waiting[name] = None
            self._show()

    def is_ready(self, name: str, seconds: float, url: str | None = None) -> None:
        """Something is there."""
        self._end(name, progress_line(name, seconds, url or ""))

    def failed(self, name: str, reason: str, seconds: float = 0.0) -> None:
        """Something does not come."""
        self._end(name, progress_line(name, seconds, is_well=False) + Text(reason, style="red"))

    def say(self, text: str) -> None:
        """A plain line."""
        with self._lock:
            self._out.print(Text(text))
            self._flush()

    def _end(self, name: str, line: Text) -> None:
        with self._lock:
            self._waiting.pop(name, None)
            self._out.print(line)
            self._show()
            self._flush()

    def _flush(self) -> None:
        self._out.file.flush()

    def _show(self) -> None:
        if self._status:
            self._status.update(", ".join(self._waiting) or "waiting")


def safe_streams() -> None:
    """Titles may hold any character; a terminal that cannot show one shows a replacement instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
