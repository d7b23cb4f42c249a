"""Run ``bin/nexus train`` again and again, killed (SIGKILL) each time at another point, until nothing kills it any more.

A process of its own: it forks before torch has any threads, so what a child does is what a fresh process does, at the price of
one import. Prints one line per start: the point at which it was killed, or its exit status.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Patch = Callable[[], None]


def _killed(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(owner: Any, name: str, times: int) -> None:
    """Kill when the function has ended so many times."""
    plain, done = getattr(owner, name), []

    def counted(*arguments: Any, **words: Any) -> Any:
        found = plain(*arguments, **words)
        done.append(name)
        if len(done) == times:
            _killed()
        return found

    setattr(owner, name, counted)


def _at(owner: Any, name: str, times: int) -> None:
    """Kill when the function is called for the n-th time."""
    plain, done = getattr(owner, name), []

    def counted(*arguments: Any, **words: Any) -> Any:
        done.append(name)
        return _killed() if len(done) == times else plain(*arguments, **words)

    setattr(owner, name, counted)


def points() -> Iterator[tuple[str, Patch]]:
    """Where it is killed, in the order in which a run meets them."""
    from training import run_export
    from training.run_folder import RunFolder
    from training.sequence import checkpoint, loop

    yield "while the order is written", lambda: _at(os, "fsync", 1)
    yield "after two floors", lambda: _after(RunFolder, "keep", 2)
    yield "while the third floor is written", lambda: _at(os, "fsync", 2)
    yield "after a checkpoint", lambda: _after(checkpoint, "write", 2)
    yield "before a checkpoint is in place", lambda: _at(Path, "replace", 3)
    yield "after a step", lambda: _after(loop.Training, "_step", 1)
    yield "before the ranks", lambda: _at(RunFolder, "write_rows", 1)
    yield "after the model", lambda: _at(run_export, "sha256", 1)
    yield "while the manifest is written", lambda: _at(os, "fsync", 3)
    yield "before the summary", lambda: _at(RunFolder, "write", 1)


def start(words: list[str], patch: Patch | None) -> int:
    """One start in a child; its wait status."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    os.close(1)
    os.open(os.devnull, os.O_WRONLY)
    if patch is not None:
        patch()
    from nexus.cli.main import main

    os._exit(main(words))


def _often(name: str) -> Any:
    """The recipe, with a checkpoint after every step."""
    from dataclasses import replace

    recipe = _plain(name)

    def build() -> Any:
        assert recipe.build is not None
        model: Any = recipe.build()
        model.save_every_s = -1.0
        return model

    return replace(recipe, build=build)


if __name__ == "__main__":
    import torch

    from training.recipes import registry

    assert torch.get_num_threads() == 1
    _plain, registry.named = registry.named, _often  # type: ignore[assignment]
    words, whole, killed = sys.argv[1:-2], sys.argv[-2], sys.argv[-1]
    sys.stdout.write(f"whole {os.waitstatus_to_exitcode(start([*words, '--out', whole], None))}\n")
    for point, patch in [*points(), ("never", None)]:
        status = start([*words, "--out", killed], patch)
        word = "killed" if os.WIFSIGNALED(status) else f"ended {os.waitstatus_to_exitcode(status)}"
        sys.stdout.write(f"{point} {word}\n")
