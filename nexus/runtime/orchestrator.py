"""Brings the parts up in the order of their needs, side by side where that is possible, and takes them down.

Belongs here: order, waiting, giving up. Does not belong here: what parts are (parts.py), what people see (nexus.cli).
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from nexus.errors import NexusError, invalid
from nexus.runtime import dagster, processes, web3
from nexus.runtime.fetched import Errand
from nexus.runtime.home import Home, read_json
from nexus.runtime.part import CONTRACTS, MIGRATION, Part
from nexus.runtime.parts import NAMES, OPTIONAL, STORES, all_parts
from nexus.runtime.probes import NotReadyError
from nexus.runtime.state import State, prepare
from nexus.runtime.supervisor import Supervisor
from nexus.settings import Settings

READY_S, EXTERNAL_S = 180.0, 10.0
# Steps between parts, and what they need.
STEPS: Mapping[str, tuple[str, ...]] = {MIGRATION: ("postgres",), CONTRACTS: (MIGRATION, web3.CHAIN)}
_POLL_S, _LONGEST_POLL_S = 0.05, 0.4
_CRASHES = 4
_PORT_TRIES = 3


class Watcher(Protocol):
    """Who is told how it goes; called from several threads."""

    def began(self, name: str) -> None:
        """A part is being started."""

    def is_ready(self, name: str, seconds: float, url: str | None) -> None:
        """A part answers."""

    def failed(self, name: str, reason: str) -> None:
        """A part does not come up."""

    def say(self, text: str) -> None:
        """Something takes its time."""


@dataclass(frozen=True, slots=True)
class Started:
    """How the start of one part, or of the migration, ended."""

    name: str
    seconds: float
    reason: str | None = None


class _StoppedError(Exception):
    """A part did not come up; the text says why."""


class Orchestrator:
    """Starts and stops the parts of one home."""

    def __init__(self, home: Home, user: Settings, watcher: Watcher) -> None:
        self._home = home
        self._user = user
        self._watcher = watcher
        self._supervisor = Supervisor(home)
        self._is_cancelled = threading.Event()
        self._ousted: set[str] = set()

    def up(self, only: Iterable[str] = ()) -> tuple[State, list[Started]]:
        """Start what does not run yet, and wait until everything answers.

        Args:
            only: Names of parts; what they need is started too. Empty: all.

        Returns:
            The state that the parts run with, and how each start ended.
        """
        for _ in range(_PORT_TRIES):
            self._ousted.clear()
            state, started = self._up(tuple(only))
            if not self._ousted:
                break
        return state, started

    def _up(self, only: tuple[str, ...]) -> tuple[State, list[Started]]:
        if self._supervisor.pid() is None:
            self._supervisor.end_orphans()
        running = frozenset(
            name for name, info in self._supervisor.all().items() if info.state in {"RUNNING", "STARTING", "BACKOFF"}
        )
        remembered = {int(port) for port in read_json(self._home.run / "ports.json").values()}
        lost = processes.foreign(self._home.root, remembered)
        state = prepare(self._home, self._user, running=running, lost=lost)
        parts = all_parts(state)
        wanted = _closure(parts, only, state.choices)
        if "dagster-code" in state.ports:
            dagster.write_home(self._home, state.ports["dagster-code"])
        self._supervisor.start([part for part in parts if not part.is_external])
        return state, self._run(
            [part for part in parts if part.name in wanted], state, tuple(step for step in STEPS if step in wanted)
        )

    def _run(self, parts: list[Part], state: State, steps: tuple[str, ...]) -> list[Started]:
        done = {name: threading.Event() for name in (*NAMES, *OPTIONAL, *STEPS)}
        broken: set[str] = set()
        jobs: list[tuple[str, tuple[str, ...], Callable[[], str | None]]] = [
            (part.name, part.needs, lambda part=part: self._start(part))  # type: ignore[misc]
            for part in parts
        ]
        actions: dict[str, Callable[[], str | None]] = {
            MIGRATION: lambda: self._migrate(state),
            CONTRACTS: lambda: web3.set_up(state, self._errand()),
        }
        jobs += [(step, STEPS[step], actions[step]) for step in steps]

        def work(name: str, needs: tuple[str, ...], action: Callable[[], str | None]) -> Started:
            for need in needs:
                done[need].wait()
            began = time.monotonic()
            reason = url = None
            try:
                _refuse_if(need for need in needs if need in broken)
                self._watcher.began(name)
                url = action()
            except (_StoppedError, NexusError) as error:
                reason = str(error)
                broken.add(name)
            seconds = time.monotonic() - began
            if reason is None:
                self._watcher.is_ready(name, seconds, url)
            elif not self._is_cancelled.is_set():
                self._watcher.failed(name, reason)
            done[name].set()
            return Started(name, seconds, reason)

        with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
            futures: list[Future[Started]] = [pool.submit(work, *job) for job in jobs]
            try:
                return [future.result() for future in as_completed(futures)]
            except BaseException:
                self._is_cancelled.set()
                for event in done.values():
                    event.set()
                raise

    def _start(self, part: Part) -> str | None:
        if part.fetch is not None:
            part.fetch(self._errand())
        if part.make is not None:
            self._supervisor.start_part(part.name, part.make())
        self._wait(part, READY_S if part.make is not None else EXTERNAL_S)
        return part.url

    def _errand(self) -> Errand:
        return Errand(self._watcher.say, self._is_cancelled.is_set)

    def _wait(self, part: Part, patience_s: float) -> None:
        """Ask until it answers; give up when it keeps dying or time is over."""
        deadline = time.monotonic() + patience_s
        pids: set[int] = set()
        pause_s = _POLL_S
        while not self._is_cancelled.is_set():
            try:
                part.probe()
            except NotReadyError as error:
                said = str(error)
            else:
                self._refuse_if_ousted(part)
                return
            if part.make is not None:
                info = self._supervisor.info(part.name)
                if info is None:
                    raise _StoppedError("the supervisor is gone")
                pids.add(info.pid)
                if info.state in {"FATAL", "STOPPED"} or len(pids - {0}) >= _CRASHES:
                    self._refuse_if_ousted(part)
                    raise _StoppedError(f"it keeps ending: {self._last_words(part.name)}")
            if time.monotonic() > deadline:
                raise _StoppedError(f"no answer after {patience_s:.0f} s: {said}")
            self._is_cancelled.wait(pause_s)
            pause_s = min(pause_s * 1.3, _LONGEST_POLL_S)
        raise _StoppedError("interrupted")

    def _refuse_if_ousted(self, part: Part) -> None:
        """Between choosing a port and listening on it another program may come first, and then it is that one that answers."""
        port = urlsplit(part.url or "").port if part.make is not None else None
        if port is not None and processes.foreign(self._home.root, {port}):
            self._ousted.add(part.name)
            raise _StoppedError(f"another program listens on port {port}; another port is tried")

    def _last_words(self, name: str) -> str:
        try:
            lines = self._home.log(name).read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        words = [line.strip() for line in lines[-20:] if line.strip()]
        return f"{words[-1][:300] if words else 'it wrote no log'} (bin/nexus logs {name})"

    def _migrate(self, state: State) -> None:
        settings = state.settings()
        importlib.import_module("nexus.db.migrate").upgrade(settings)
        if not state.is_external("dagster"):
            dagster.migrate(self._home, settings)

    def down(self) -> int:
        """Stop everything of this home; returns how many processes there were."""
        count = sum(len(found) for found in processes.ours(self._home.root).values())
        infos = self._supervisor.all()
        for phase in (set(infos) - STORES, set(infos) & STORES):
            self._stop_together(phase)
        self._supervisor.shutdown()
        self._supervisor.end_orphans()
        self._home.remove_socket()
        (self._home.run / "supervisord.pid").unlink(missing_ok=True)
        return count

    def _stop_together(self, names: set[str]) -> None:
        for name in names:
            self._supervisor.stop(name, is_waiting=False)
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            infos = self._supervisor.all()
            if not any(infos[name].pid for name in names & set(infos)):
                return
            time.sleep(_POLL_S)


def _refuse_if(lacking: Iterable[str]) -> None:
    names = ", ".join(lacking)
    if names:
        raise _StoppedError(f"needs {names}")


def _closure(parts: list[Part], only: tuple[str, ...], choices: Collection[str] = ()) -> set[str]:
    """The parts and steps asked for and everything they need."""
    needs = {part.name: (*part.needs, *part.asks) for part in parts} | {MIGRATION: STEPS[MIGRATION]}
    if "web3" in choices:
        needs[CONTRACTS] = STEPS[CONTRACTS]
    unknown = [name for name in only if name not in needs]
    if unknown:
        is_off = unknown[0] in {CONTRACTS, web3.CHAIN, web3.IPFS}
        also = "; it comes with bin/nexus up --with web3" if is_off else ""
        raise invalid("no such part", field="part", value=unknown[0], remedy=f"one of: {', '.join(needs)}{also}")
    wanted: set[str] = set()
    waiting = list(only or needs)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += needs[name]
    return wanted
