"""Trainings of several networks at once, each in a process of its own with one thread.

Belongs here: starting the processes, hearing them, bringing their networks back, ending them. Does not belong here: one training that
several processes share (processes), what the networks are for (several).

One thread per network makes the figures the same on every number of cores; two networks on two cores keep both busy, which
two threads in one small network do not. A process ends with the one that started it, also when that is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from nexus.errors import Category, NexusError
from training.models_api import Tell
from training.sequence import checkpoint, devices
from training.sequence.checkpoint import Progress
from training.sequence.devices import Place
from training.sequence.loop import Training
from training.sequence.processes import brought_back
from training.sequence.scorer import SequenceScorer
from training.sequence.work import Work

THREADS = 1
"""Of each training."""


@dataclass(frozen=True, slots=True)
class _Child:
    process: SpawnProcess
    heard: Connection
    number: int


class SideBySide:
    """Trainings under way; a context that ends what is still running when it is left.

    Args:
        works: What is trained; each with a checkpoint folder of its own, or with none.
        place: On which device.
        tell: Takes lines of progress.

    Raises:
        NexusError: category ``conflict``: a folder holds a checkpoint of another training.
    """

    def __init__(self, works: Sequence[Work], place: Place, tell: Tell) -> None:
        self._place, self._tell = place, tell
        self._waiting = [number for number, work in enumerate(works) if not _is_done(work)]
        self._room = tempfile.TemporaryDirectory(prefix="nexus-sequence-")
        self._works = [
            work if work.folder is not None else replace(work, folder=Path(self._room.name) / str(number))
            for number, work in enumerate(works)
        ]
        self._children: dict[Connection, _Child] = {}

    def __enter__(self) -> Self:
        """Start as many as there are cores."""
        for _ in range(devices.threads()):
            self._next()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        for child in self._children.values():
            child.process.terminate()
            child.process.join()
        self._children.clear()
        self._room.cleanup()

    def results(self) -> list[tuple[SequenceScorer, Progress]]:
        """Wait for all; networks in the order of the works.

        Raises:
            NexusError: category ``internal``: a process has failed.
        """
        while self._children:
            for heard in connection.wait(list(self._children)):
                assert isinstance(heard, Connection)  # noqa: S101 (nothing else is waited for)
                self._hear(self._children[heard])
        return [_brought_back(work) for work in self._works]

    def _hear(self, child: _Child) -> None:
        try:
            self._tell(f"network {child.number + 1} of {len(self._works)}: {child.heard.recv()}")
        except EOFError:
            child.process.join()
            del self._children[child.heard]
            if child.process.exitcode:
                raise NexusError(
                    "a training process has failed",
                    category=Category.INTERNAL,
                    field="exit status",
                    value=child.process.exitcode,
                    remedy="see what it wrote above; -9 means that the machine was short of memory",
                ) from None
            self._next()

    def _next(self) -> None:
        if not self._waiting:
            return
        number = self._waiting.pop(0)
        heard, said = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(
            target=_train, args=(said, self._works[number], self._place), name=f"network-{number + 1}"
        )
        process.start()
        said.close()
        self._children[heard] = _Child(process, heard, number)


def _is_done(work: Work) -> bool:
    found = None if work.folder is None else checkpoint.read(work.folder, work.identity)
    return found is not None and found[0].is_done


def _brought_back(work: Work) -> tuple[SequenceScorer, Progress]:
    assert work.folder is not None  # noqa: S101 (given in __init__)
    found = checkpoint.read(work.folder, work.identity)
    assert found is not None  # noqa: S101 (a process that did not write it has failed)
    return brought_back(work, *found)


def _train(said: Connection, work: Work, place: Place) -> None:
    """What a process does."""
    from training.determinism import repeatable

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to everybody: who started this one ends it
    Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    with repeatable(work.seed, threads=THREADS), devices.rounding(place):
        Training(work, place, said.send).run()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
