"""DVC, called as a command in an environment of its own: a store of folders by their content.

Belongs here: the store's folder and configuration, adding a folder, bringing one back, looking after damaged copies.
Does not belong here: what a snapshot holds (training.snapshot), which model needs which (training.rebuild).

DVC cannot live beside NEXUS (its dependencies contradict Dagster's), so nothing is imported from it. A call costs one or
two seconds, so calls are few. The store is ``$NEXUS_HOME/dvc``; with ``training.dvc_remote`` a second copy of everything goes
there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from nexus.errors import NexusError, unavailable
from nexus.runtime.environments import environment
from nexus.settings import Settings

WITHIN_S = 600.0
SNAPSHOTS, RESTORED = "snapshots", "restored"
REMEDY = "run bin/nexus environment dvc; check training.dvc_remote and the disk"


class Kept(BaseModel):
    """A folder in the store, as its ``.dvc`` file names it.

    Attributes:
        md5: DVC's name for the folder's content.
        size: Bytes of all its files.
        nfiles: How many files.
        is_remote: Whether the remote has it too.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    md5: str
    size: int
    nfiles: int
    is_remote: bool = False

    def pointer(self, path: str) -> str:
        """The text of a ``.dvc`` file for it."""
        return f"outs:\n- md5: {self.md5}\n  size: {self.size}\n  nfiles: {self.nfiles}\n  hash: md5\n  path: {path}\n"


class Store:
    """The DVC repository of one state folder."""

    def __init__(self, folder: Path, remote: str | None = None) -> None:
        self.folder = folder
        self.remote = remote

    @classmethod
    def from_settings(cls, settings: Settings) -> Store:
        """The store that the settings name."""
        return cls(settings.home / "dvc", settings.training.dvc_remote)

    def add(self, name: str, source: Path) -> tuple[Kept, str]:
        """Take a folder into the store; the folder itself is gone afterwards.

        Returns:
            What was kept, and a word about the remote when it did not take its copy.

        Raises:
            NexusError: category ``unavailable`` when DVC can't be had or refuses.
        """
        with self._opened() as dvc:
            place = self.folder / SNAPSHOTS / name
            place.parent.mkdir(exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            source.rename(place)
            try:
                self._run(dvc, "add", "--quiet", f"{SNAPSHOTS}/{name}")
            finally:
                shutil.rmtree(place, ignore_errors=True)
            kept = _read_pointer(place.with_name(f"{name}.dvc"))
            if self.remote is None:
                return kept, ""
            try:
                self._run(dvc, "push", "--quiet", f"{SNAPSHOTS}/{name}.dvc")
            except NexusError as error:
                return kept, f"the remote did not take a copy: {error.message}"
            return kept.model_copy(update={"is_remote": True}), ""

    def restore(self, kept: Kept, into: Path, notes: list[str]) -> None:
        """Bring a folder back, from the store or else from the remote.

        Args:
            kept: Which.
            into: A path that does not exist yet.
            notes: Is told what was found damaged on the way.

        Raises:
            NexusError: category ``unavailable`` when no whole copy is left.
        """
        with self._opened() as dvc:
            notes += self._drop_damaged(kept.md5)
            (self.folder / RESTORED).mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder / RESTORED) as temporary:
                pointer = Path(temporary) / "data.dvc"
                pointer.write_text(kept.pointer("data"), encoding="utf-8")
                given = str(pointer.relative_to(self.folder))
                if self.remote is None or self._is_whole(kept.md5):
                    self._run(dvc, "checkout", "--quiet", given)
                else:
                    self._run(dvc, "pull", "--quiet", given)
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(str(pointer.with_suffix("")), into)

    def is_kept(self, md5: str) -> bool:
        """Whether the store holds a whole copy (the remote is not asked)."""
        return self._is_whole(md5)

    @contextmanager
    def _opened(self) -> Iterator[Path]:
        """DVC's program, with the store made and no other caller in it."""
        program = environment("dvc") / "bin" / "dvc"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            config = self.folder / ".dvc" / "config"
            if not config.parent.is_dir():
                self._run(program, "init", "--no-scm", "--quiet")
            wanted = self._config()
            if not config.is_file() or config.read_text(encoding="utf-8") != wanted:
                config.write_text(wanted, encoding="utf-8")
            yield program

    def _config(self) -> str:
        lines = [
            "[core]",
            "    no_scm = True",
            "    analytics = false",
            "    check_update = false",
            f'    site_cache_dir = "{self.folder / ".dvc" / "site"}"',
            "[cache]",
            '    type = "reflink,copy"',
        ]
        if self.remote is not None:
            lines[1:1] = ["    remote = store"]
            lines += ["['remote \"store\"']", f'    url = "{self.remote}"', "    verify = true"]
        return "\n".join(lines) + "\n"

    def _run(self, program: Path, *words: str) -> None:
        # Not the caller's Python path: DVC runs in an environment of its own.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        try:
            done = subprocess.run(
                [str(program), *words],
                cwd=self.folder,
                env=inherited | {"DVC_NO_ANALYTICS": "1", "TERM": "dumb"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise unavailable(f"DVC could not be run: {error}", remedy=REMEDY, field="dvc") from None
        if done.returncode:
            said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-300:]
            raise unavailable(f"dvc {words[0]} failed: {said}", remedy=REMEDY, field="dvc")

    def _object(self, md5: str) -> Path:
        return self.folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]

    def _objects(self, md5: str) -> Iterator[str]:
        """The folder's object and those of its files, as far as they can be read."""
        yield md5
        try:
            listed = json.loads(self._object(md5).read_text(encoding="utf-8"))
            yield from (str(entry["md5"]) for entry in listed)
        except (OSError, ValueError, KeyError, TypeError):
            return

    def _is_whole(self, md5: str) -> bool:
        found = [self._object(one) for one in self._objects(md5)]
        return len(found) > 1 and all(_is_intact(path) for path in found)

    def _drop_damaged(self, md5: str) -> list[str]:
        """Remove copies whose content is not what their name says: DVC trusts its cache, and would hand them out."""
        damaged = []
        for one in list(self._objects(md5)):
            path = self._object(one)
            if path.exists() and not _is_intact(path):
                path.unlink()
                damaged.append(f"the copy {one} in the store was damaged and has been removed")
        return damaged


def _is_intact(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return False
    return found == (path.parent.name + path.name).removesuffix(".dir")


def _read_pointer(path: Path) -> Kept:
    """One output with plain values: ``- md5: ...`` and so on, a line each."""
    lines = (line.lstrip("- ").partition(": ") for line in path.read_text(encoding="utf-8").splitlines())
    return Kept.model_validate({name: value for name, colon, value in lines if colon})
