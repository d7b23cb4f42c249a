"""Programs that are neither Python nor the system's: fetched or built once into ``.tools``, by one process at a time.

Belongs here: the lock, the stamp that says from which recipe a folder was made, running installers.
Does not belong here: what is fetched (anvil.py, kubo.py). Environments of Python are made by ``bin/nexus``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nexus.errors import NexusError, unavailable
from nexus.settings import ROOT

TOOLS = ROOT / ".tools"
_STAMP = ".wants"
_POLL_S = 0.2


def _silent(_text: str) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Somebody waits for a program.

    Args:
        say: Told what takes time.
        is_cancelled: Whether nobody waits any more.
    """

    say: Callable[[str], None] = _silent
    is_cancelled: Callable[[], bool] = lambda: False


QUIET = Errand()


@contextmanager
def _alone(tools: Path, name: str, errand: Errand) -> Iterator[None]:
    """One process of this checkout at a time; the kernel drops the lock with its holder."""
    try:
        tools.mkdir(exist_ok=True)
        lock = (tools / f"{name}.lock").open("a")
    except OSError as error:
        raise unavailable(
            f"{name} cannot be put into {tools}: {error.strerror}",
            remedy=f"make {tools} writable, or put {name} on the PATH",
        ) from None
    with lock:
        if not _is_locked(lock):
            errand.say(f"{name}: another bin/nexus is getting it; waiting")
            while not _is_locked(lock):
                if errand.is_cancelled():
                    raise unavailable(f"{name}: interrupted", remedy="run bin/nexus up again")
                time.sleep(_POLL_S)
        yield


def _is_locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _digest(recipe: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in recipe)).hexdigest()


def fetched(
    name: str,
    program: str,
    recipe: Sequence[Path],
    make: Callable[[Path], None],
    *,
    errand: Errand = QUIET,
    tools: Path = TOOLS,
) -> Path:
    """A program below ``.tools/NAME``, made when it is not there or was made from another recipe.

    Args:
        name: The folder.
        program: Path of the program in it.
        recipe: Files that say what is made; a change makes it anew.
        make: Fills an empty folder.
        errand: Who waits for it.
        tools: Where the folders are.

    Raises:
        NexusError: category ``unavailable``, when it cannot be made.
    """
    folder, wanted = tools / name, _digest(recipe)
    if _is_made(folder, program, wanted):
        return folder / program
    with _alone(tools, name, errand):
        if _is_made(folder, program, wanted):
            return folder / program
        fresh = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=tools))
        try:
            make(fresh)
            if not (fresh / program).is_file():
                raise unavailable(f"the recipe of {name} made no {program}", remedy=f"put {name} on the PATH")
            (fresh / _STAMP).write_text(wanted)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.chmod(0o755)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder / program


def _is_made(folder: Path, program: str, wanted: str) -> bool:
    stamp = folder / _STAMP
    return stamp.is_file() and stamp.read_text() == wanted and os.access(folder / program, os.X_OK)


def npm_ci(recipe: Path, folder: Path, *, remedy: str, errand: Errand = QUIET, timeout_s: float = 1200.0) -> None:
    """Install a committed lock file into a folder, without running anybody's scripts.

    Raises:
        NexusError: category ``unavailable``, when there is no npm or it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise unavailable("there is no npm on the PATH", remedy=remedy)
    for name in ("package.json", "package-lock.json"):
        shutil.copy2(recipe / name, folder / name)
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run(words, folder, remedy=remedy, errand=errand, timeout_s=timeout_s)


def run(
    words: Sequence[str],
    folder: Path,
    *,
    remedy: str,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    errand: Errand = QUIET,
) -> None:
    """Run an installer in a folder; the last lines of what it says become the reason of a failure.

    Raises:
        NexusError: category ``unavailable``.
    """
    name = Path(words[0]).name
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            child = subprocess.Popen(
                words,
                cwd=folder,
                env={**os.environ, "NO_COLOR": "1", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise unavailable(f"{name} could not be run: {error.strerror}", remedy=remedy) from None
        _wait(child, name, remedy=remedy, timeout_s=timeout_s, errand=errand)
        said.seek(0)
        if child.returncode:
            raise _failed(name, child.returncode, said.read(), remedy)


def _wait(child: subprocess.Popen[bytes], name: str, *, remedy: str, timeout_s: float, errand: Errand) -> None:
    """Wait for it; whoever is left when time is over, or when nobody waits any more, is ended with its children."""
    deadline = time.monotonic() + timeout_s
    try:
        while child.poll() is None:
            if errand.is_cancelled():
                raise unavailable(f"{name} was interrupted", remedy="run bin/nexus up again")
            if time.monotonic() > deadline:
                raise unavailable(f"{name} did not end within {timeout_s:.0f} s", remedy=remedy)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_S)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _failed(name: str, code: int, said: str, remedy: str) -> NexusError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line and "A complete log" not in line] or lines
    return unavailable(f"{name} ended with {code}: {' '.join(telling[-2:])[:300]}", remedy=remedy)
