"""What a process is started with: words, environment, folder, user.

Belongs here: the plain description of a process and starting it directly (tests, one-shot tools).
Does not belong here: supervision (supervisor.py), what each part's words are (one file per part).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from nexus.errors import unavailable


@dataclass(frozen=True, slots=True)
class Command:
    """A process to be: it replaces the starter (exec), so its pid is the one whose death ends the part."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: int | None = None

    def environment(self) -> dict[str, str]:
        """The caller's environment with this command's own on top, and bytecode caching allowed."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return inherited | dict(self.env)

    def _identity(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.user, "extra_groups": []}

    def run(self, *, timeout_s: float = 120.0) -> str:
        """Run it to its end and return what it printed.

        Raises:
            NexusError: category ``unavailable``, when it fails or takes too long.
        """
        remedy = "see the message; bin/nexus doctor checks this machine"
        try:
            done = subprocess.run(
                self.argv,
                env=self.environment(),
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout_s,
                check=False,
                **self._identity(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise unavailable(f"{Path(self.argv[0]).name} could not be run: {error}", remedy=remedy) from None
        if done.returncode != 0:
            said = done.stdout.strip()[-500:]
            raise unavailable(f"{Path(self.argv[0]).name} ended with {done.returncode}: {said}", remedy=remedy)
        return done.stdout

    def popen(self, log: IO[Any]) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, output to a file."""
        return subprocess.Popen(
            self.argv,
            env=self.environment(),
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self._identity(),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as launch.py reads it."""
        return asdict(self) | {"argv": list(self.argv), "env": dict(self.env)}
