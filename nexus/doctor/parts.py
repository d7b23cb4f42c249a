"""The parts: each asked itself, and for a dead one the cause that its log names.

Belongs here: joining status and logs. Does not belong here: how a part is asked (nexus.runtime.probes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from nexus.doctor.finding import Finding
from nexus.runtime.home import Home
from nexus.runtime.state import LISTENERS, is_external
from nexus.runtime.status import PartState, PartStatus, collect
from nexus.settings import Settings

_TAIL_BYTES, _TAIL_LINES, _LONGEST = 65_536, 200, 220
_TELLING = re.compile(
    r"\b(error|fatal|panic|refused|denied|killed|cannot|can't|no space left|out of memory|bad file format|unexpected end"
    r"|in use|corrupt\w*)\b|Errno|[A-Z]\w+(Error|Exception)\b",
    re.IGNORECASE,
)
_ENDED = re.compile(r" exited: (?P<part>\S+) \((?P<how>[^;)]*)")


def parts(home: Home, user: Settings) -> Iterator[Finding]:
    """Every part of this installation."""
    statuses = collect(home, user)
    if all(part.state == PartState.STOPPED for part in statuses):
        yield Finding("parts", "none is running", "run bin/nexus up", is_warning=True)
        for part in statuses:
            why = cause(home.log(part.name)) if how_it_ended(home, part.name) else None
            if why:
                yield Finding(
                    part.name, f"when it last ran it said: {why}", f"see bin/nexus logs {part.name}", is_warning=True
                )
        return
    for part in statuses:
        yield _external(part) if _is_external(part.name, user) else _own(home, part)


def _is_external(name: str, user: Settings) -> bool:
    listener = "dagster-webserver" if name.startswith("dagster") else name
    return listener in LISTENERS and is_external(user, listener)


def _external(part: PartStatus) -> Finding:
    if part.state == PartState.RUNNING:
        return Finding(part.name, f"answers at {part.url}")
    area, _, field = LISTENERS["dagster-webserver" if part.name.startswith("dagster") else part.name]
    setting = f"NEXUS_{area.upper()}__{field.upper()}"
    said = f"your own server does not answer at {part.url}: {part.note}"
    return Finding(part.name, said, f"start it, mend {setting}, or unset {setting} to use the embedded one")


def _own(home: Home, part: PartStatus) -> Finding:
    times = f", restarted {part.restarts} times" if part.restarts else ""
    if part.state == PartState.RUNNING:
        remedy = f"see bin/nexus logs {part.name}" if part.note else None
        return Finding(part.name, f"running{times}{f': {part.note}' if part.note else ''}", remedy, is_warning=True)
    words = [str(part.state) + times]
    ended = how_it_ended(home, part.name)
    if ended:
        words.append(f"it ended with {ended}")
    why = cause(home.log(part.name)) or part.note
    if why:
        words.append(f"it says: {why}")
    remedy = f"see bin/nexus logs {part.name}; run bin/nexus up to start it again"
    return Finding(
        part.name, "; ".join(words), remedy, is_warning=part.state == PartState.STARTING and not part.restarts
    )


def how_it_ended(home: Home, part: str) -> str | None:
    """How a part ended the last time that nobody asked it to, as the supervisor saw it."""
    ends = [
        found["how"]
        for line in _tail(home.log("supervisor"))
        if (found := _ENDED.search(line)) and found["part"] == part
    ]
    return ends[-1] if ends else None


def cause(log: Path) -> str | None:
    """The last line of a log that tells why; None when no line does."""
    for line in reversed(_tail(log)):
        words = _words(line)
        if words:
            return words[:_LONGEST]
    return None


def _words(line: str) -> str:
    """What a line tells of a failure: itself, or of a structured one the event and its reason; empty: nothing."""
    text = line.strip()
    if not text.startswith("{"):
        return text if _TELLING.search(text) else ""
    try:
        facts = json.loads(text)
    except ValueError:
        return text if _TELLING.search(text) else ""
    if not isinstance(facts, dict) or facts.get("level") not in {"error", "critical"}:
        return ""
    last = str(facts.get("exception") or "").strip().splitlines()[-1:]
    told = [str(facts[key]) for key in ("event", "reason", "cause", "error") if facts.get(key)]
    return ": ".join([*told, *last])


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
