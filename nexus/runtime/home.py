"""The state folder: which file lies where, and who may read it.

Belongs here: paths below ``$NEXUS_HOME``, making them, small JSON files written whole or not at all.
Does not belong here: what the files say (state.py), what the parts keep in their folders.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.errors import Category, NexusError

# Linux allows 107 bytes for the path of a unix socket; room is left for the name that bind() uses first.
_LONGEST_SOCKET = 90
_SOCKET_NOTE = "socket-folder.json"


@dataclass(frozen=True, slots=True)
class Home:
    """The state folder of one installation."""

    root: Path

    @property
    def run(self) -> Path:
        """What is true only while parts run, and where they listen; nobody else may look."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.root / "logs"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    def log(self, part: str) -> Path:
        """The log of a part."""
        return self.logs / f"{part}.log"

    def ensure(self) -> None:
        """Make the folders, or say why that cannot be.

        Raises:
            NexusError: category ``forbidden`` when the folder cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder in (self.run, self.logs):
                folder.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.run):
                pass
        except OSError as error:
            raise NexusError(
                f"the state folder cannot be written: {error.strerror}",
                category=Category.FORBIDDEN,
                field="home",
                value=self.root,
                remedy="set NEXUS_HOME to a folder that you may write, or change the folder's permissions",
            ) from None

    def socket(self) -> Path:
        """The supervisor's socket; in a short temporary folder when the state folder's path is too long for one."""
        own = self.run / "supervisor.sock"
        if len(os.fsencode(own)) <= _LONGEST_SOCKET:
            return own
        note = self.run / _SOCKET_NOTE
        known = read_json(note).get("folder")
        if known and Path(known).is_dir():
            return Path(known) / "s.sock"
        folder = tempfile.mkdtemp(prefix="nexus-")
        if len(folder) > _LONGEST_SOCKET:
            folder = tempfile.mkdtemp(prefix="nexus-", dir="/tmp")
        write_json(note, {"folder": folder})
        return Path(folder) / "s.sock"

    def remove_socket(self) -> None:
        """Remove the socket, and the temporary folder if it had one."""
        socket = self.socket()
        socket.unlink(missing_ok=True)
        if socket.parent != self.run:
            socket.parent.rmdir()
            (self.run / _SOCKET_NOTE).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """What a small file says; empty when it is not there or broken."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a small file that only its owner reads; a reader sees the old or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=2)
    Path(name).replace(path)
