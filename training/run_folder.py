"""The folder of ``bin/nexus train --out``: whose it is, what is done already, files that appear whole.

Belongs here: claiming, resuming, writing. Does not belong here: what is written (training.run), checkpoints of a model (each
model's own, in ``checkpoint/``).

``order.json`` says what was asked for; ``parts/`` keeps what is done of a run that is not; ``summary.json`` comes last, so a
folder that has one is complete.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.errors import Category, NexusError, invalid
from training.bundle_format import write_atomically

ORDER, SUMMARY, RANKS, PARTS, CHECKPOINT, LOCK = (
    "order.json",
    "summary.json",
    "ranks.csv",
    "parts",
    "checkpoint",
    ".lock",
)
_HALF = re.compile(r"\..+\.\d+")


@dataclass(frozen=True)
class RunFolder:
    """A claimed folder."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Where a model keeps its own state while it trains."""
        return self.path / CHECKPOINT

    def summary(self) -> dict[str, Any] | None:
        """The summary of a finished run; None while there is none."""
        return _read(self.path / SUMMARY)

    def part(self, name: str) -> dict[str, Any] | None:
        """What was kept of a finished part."""
        return _read(self.path / PARTS / f"{name}.json")

    def keep(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keep a finished part, should the run be interrupted."""
        write_atomically(self.path / PARTS / f"{name}.json", dict(facts))

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """A JSON file."""
        write_atomically(self.path / name, dict(content))

    def write_rows(self, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A CSV file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        with self.appearing(name) as path:
            path.write_text(text.getvalue(), encoding="utf-8")

    @contextmanager
    def appearing(self, name: str) -> Iterator[Path]:
        """A path to write to; what was written is put in place when the block ends well."""
        temporary = self.path / f".{name}.{os.getpid()}"
        try:
            yield temporary
            temporary.replace(self.path / name)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def claimed(path: Path, order: Mapping[str, Any]) -> Iterator[RunFolder]:
    """The folder for one run: new, or begun by the same order; nobody else may use it meanwhile.

    Raises:
        NexusError: category ``conflict`` when it holds another run or something else, or another process is at it;
            ``invalid`` when it cannot be made.
    """
    path = path.expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        _refuse_other_content(path)
        lock = (path / LOCK).open("w")
    except OSError as error:
        raise invalid(
            f"the folder cannot be used ({error.strerror})",
            field="--out",
            value=path,
            remedy="name one that can be written",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _conflict(
                "another process trains into this folder", path, "wait for it, or name another folder"
            ) from None
        _refuse_other_order(path, order)
        _remove_half_files(path)
        write_atomically(path / ORDER, dict(order))
        yield RunFolder(path)


def _remove_half_files(path: Path) -> None:
    """What a killed run was writing: files that appear whole are written beside their place, under the process's number."""
    for folder in (path, path / PARTS, path / CHECKPOINT):
        for item in folder.glob(".*"):
            if item.is_file() and _HALF.fullmatch(item.name):
                item.unlink()


def _refuse_other_content(path: Path) -> None:
    others = [item.name for item in path.iterdir() if not item.name.startswith(".")]
    if others and not (path / ORDER).is_file():
        raise _conflict(f"the folder holds something else ({min(others)})", path, "name an empty or a new folder")


def _refuse_other_order(path: Path, order: Mapping[str, Any]) -> None:
    before = _read(path / ORDER)
    if before is None:
        return
    now = json.loads(json.dumps(order))
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        said = ", ".join(f"{name} {before.get(name)} instead of {now[name]}" for name in changed[:3])
        raise _conflict(f"the folder holds another run: {said}", path, "name another folder, or remove this one")


def _conflict(message: str, path: Path, remedy: str) -> NexusError:
    return NexusError(message, category=Category.CONFLICT, field="--out", value=path, remedy=remedy)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _conflict(f"{path.name} is damaged", path, "remove the folder and run again") from error
    return found if isinstance(found, dict) else None
