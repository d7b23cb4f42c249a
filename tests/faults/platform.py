"""A platform that is broken on purpose: starting it, finding its processes, killing one in the middle of a step.

Belongs here: what every fault needs. Does not belong here: the faults themselves, generated data (data.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg

from nexus.lake.catalogue import TABLES
from nexus.lake.lake import Lake
from nexus.runtime import processes
from nexus.runtime.pipeline import Outcome, Pipeline, Step
from nexus.settings import ROOT
from training.bundle_format import Bundle, read_champion

SUPERVISOR = "supervisor"
PARTS = (
    "postgres", "redis", "temporal", "mlflow", "dagster-code", "dagster-webserver", "dagster-daemon", "worker", "api",
)  # fmt: skip
PATIENCE_S = 240.0
ENVIRONMENT = {"NEXUS_TRAINING__MAX_SECONDS": "5", "NEXUS_TRAINING__IS_AUTOMATIC": "false"}
STEP_BEGINS_S = 900.0


def until(holds: Callable[[], bool], *, patience_s: float = PATIENCE_S, pause_s: float = 0.05) -> bool:
    """Ask until it holds."""
    deadline, pause = time.monotonic() + patience_s, threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            return False
        pause.wait(pause_s)
    return True


@dataclass
class Platform:
    """One home and what a person does with it."""

    home: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command; what it says comes from one stream."""
        return subprocess.Popen(
            ["sh", "bin/nexus", *words],
            cwd=ROOT,
            env=os.environ | self.environment | {"NEXUS_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def nexus(self, *words: str) -> tuple[int, str]:
        """Exit status and what was said; never a traceback."""
        process = self.start(*words)
        said = process.communicate(timeout=1200)[0]
        assert "Traceback" not in said, said
        return process.returncode, said

    def well(self, *words: str) -> str:
        """What a command said that must succeed."""
        code, said = self.nexus(*words)
        assert code == 0, f"bin/nexus {' '.join(words)} ended with {code}:\n{said[-4000:]}\n{self.last_logs()}"
        return said

    def last_logs(self) -> str:
        """The ends of all logs, for a failed test."""
        logs = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-700:]}" for log in logs)

    def endpoints(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "run" / "endpoints.json").read_text())
        return found

    def status(self) -> dict[str, dict[str, Any]]:
        return {part["name"]: part for part in json.loads(self.nexus("status", "--json")[1])["parts"]}

    def doctor(self, but: Collection[str] = ()) -> list[dict[str, Any]]:
        """Findings that are not well, but those of these names.

        An alert stays open until its job has succeeded again and a sensor has seen it, which is after a test's end.
        """
        found = json.loads(self.nexus("doctor", "--json")[1])["findings"]
        return [finding for finding in found if finding["state"] != "ok" and finding["name"] not in but]

    def processes(self) -> dict[str, list[psutil.Process]]:
        return processes.ours(self.home)

    def pid(self, part: str) -> int:
        """The oldest process of a part, which is the one that supervisord started."""
        return self.processes()[part][0].pid

    def kill(self, part: str) -> int:
        """SIGKILL a part's own process; its children are not touched."""
        pid = self.pid(part)
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self) -> int:
        """What a power cut does: every process of the home at once."""
        living = [process for found in self.processes().values() for process in found]
        for process in living:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(living, timeout=30)
        return len(living)

    def api(self) -> httpx.Client:
        return httpx.Client(base_url=self.endpoints()["api"]["url"], timeout=30, trust_env=False)

    def all_answer(self) -> bool:
        parts = self.status()
        return all(parts[name]["state"] == "running" for name in PARTS)

    def connect(self, database: str) -> psycopg.Connection:
        url = urlsplit(self.endpoints()["postgres"]["url"])._replace(path=f"/{database}").geturl()
        found: list[psycopg.Connection] = []

        def answers() -> bool:
            try:
                found.append(psycopg.connect(url, autocommit=True, connect_timeout=5))
            except psycopg.OperationalError:  # it is being started again
                return False
            return True

        assert until(answers)
        return found[0]

    @contextmanager
    def postgres(self, database: str) -> Iterator[psycopg.Connection]:
        connection = self.connect(database)
        try:
            yield connection
        finally:
            connection.close()

    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"))

    def hashes(self) -> dict[str, str]:
        """Content of every table that can be made anew, by name."""
        lake = self.lake()
        return {name: lake.content_hash(name) for name in TABLES if lake.exists(name) and is_derived(name)}

    def pipeline(self) -> Pipeline:
        return Pipeline(self.endpoints()["dagster"]["url"], self.home)

    def run(self, assets: tuple[str, ...] = (), on_step: Callable[[Step], None] = lambda _: None) -> Outcome:
        """Run assets as ``bin/nexus pipeline run`` does."""
        return self.pipeline().run("pipeline", on_step, on_launch=lambda *_: None, assets=assets)

    def has_event_log(self) -> bool:
        """Whether Dagster has made its tables and every part has started."""
        try:
            with self.postgres("dagster") as connection:
                row = connection.execute("select to_regclass('event_logs')").fetchone()
        except (psycopg.Error, OSError, ValueError, KeyError):
            return False
        return bool(row and row[0]) and set(PARTS) <= set(self.processes())

    def champion(self) -> Bundle:
        """The served bundle, verified."""
        return read_champion(self.home / "serving")

    def unfinished_models(self) -> list[str]:
        """Leftovers of a model that was being published."""
        return [path.name for path in (self.home / "serving" / "models").glob(".unfinished-*")]


def is_derived(table: str) -> bool:
    """Whether a table is made from others (the raw ones record when they were written)."""
    return not table.startswith("raw_")


class KillInStep(threading.Thread):
    """Waits until a step has begun, then kills; by Dagster's own event log, asked every few milliseconds."""

    def __init__(self, platform: Platform, step: str, part: str, *, after_s: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._platform, self._step, self.part, self._after_s = platform, step, part, after_s
        self._connection: psycopg.Connection | None = None
        self.killed_pid: int | None = None
        self.was_in_step = False
        self._newest = 0
        with platform.postgres("dagster") as connection:
            row = connection.execute("select coalesce(max(id), 0) from event_logs").fetchone()
            self._newest = row[0] if row else 0
        self.start()

    def run(self) -> None:
        pause = threading.Event()
        if not until(lambda: self._has("STEP_START"), patience_s=STEP_BEGINS_S, pause_s=0.005):
            return
        pause.wait(self._after_s)
        self.was_in_step = not self._has("STEP_SUCCESS")
        until(lambda: self.part in self._platform.processes())
        self.killed_pid = self._platform.kill(self.part)

    def _has(self, kind: str) -> bool:
        """Whether the step has such an event; asked again when Postgres itself was killed by somebody else."""
        try:
            if self._connection is None:
                self._connection = self._platform.connect("dagster")
            row = self._connection.execute(
                "select count(*) from event_logs where id > %s and step_key = %s and dagster_event_type = %s",
                (self._newest, self._step, kind),
            ).fetchone()
        except psycopg.Error:
            self._connection = None
            return False
        return bool(row and row[0])
