"""Lines in a file that never grows without end, written by several processes at once.

Belongs here: appending whole lines, one older file beside the current one. Does not belong here: what a line says.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

OLDER = ".1"


class RotatingLines:
    """Appends lines; at ``max_bytes`` the file becomes ``<name>.1`` and a new one begins.

    Every call opens the file, so that a process sees the rotation made by another one, and a deleted file comes back.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def append(self, lines: bytes) -> None:
        """Add whole lines, in one write.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = self._locked()
        try:
            size = os.fstat(handle).st_size
            if size and size + len(lines) > self._max_bytes:
                self._path.rename(self._path.with_name(self._path.name + OLDER))
                os.close(handle)  # whoever waits for it sees that it is not the current file any more
                handle = self._locked()
            os.write(handle, lines)
        finally:
            os.close(handle)

    def _locked(self) -> int:
        """The current file, open and locked: opened again when somebody else rotated while we waited."""
        while True:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if self._path.stat().st_ino == os.fstat(handle).st_ino:
                    return handle
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)


def read(path: Path) -> Iterator[bytes]:
    """Every whole line, oldest first; what is being written, and what is gone, is left out."""
    for file in (path.with_name(path.name + OLDER), path):
        try:
            with file.open("rb") as opened:
                yield from (line for line in opened if line.endswith(b"\n"))
        except FileNotFoundError:
            continue
