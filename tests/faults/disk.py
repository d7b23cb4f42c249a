"""A disk that is full: a small file system of its own over a folder.

Belongs here: making, filling and emptying it. Does not belong here: what happens on it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SPARE_BYTES, LARGE = 64_000, "1g"
_FILLER = ".filler"


@dataclass(frozen=True)
class Disk:
    """A file system in memory, mounted over a folder."""

    folder: Path

    def fill(self) -> None:
        """Leave a little, which is not enough."""
        filler = self.folder / _FILLER
        with filler.open("ab") as file:
            free = shutil.disk_usage(self.folder).free - SPARE_BYTES
            if free > 0:
                file.write(b"\0" * free)

    def empty(self) -> None:
        """Somebody frees some space."""
        (self.folder / _FILLER).unlink(missing_ok=True)
        subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """The same content on a small disk; afterwards it is back on the large one."""
    copy = folder.with_name(f"{folder.name}.copy")
    shutil.copytree(folder, copy)
    size = sum(path.stat().st_size // 4096 * 4096 + 4096 for path in copy.rglob("*")) + 4_000_000
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        shutil.rmtree(copy)
        pytest.skip(f"NEXUS_TEST_DISK: a full disk needs the right to mount one (root): {mounted.stderr.strip()}")
    try:
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        yield Disk(folder)
        shutil.rmtree(copy)
        shutil.copytree(folder, copy)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        if copy.exists():
            shutil.rmtree(folder)
            copy.rename(folder)
