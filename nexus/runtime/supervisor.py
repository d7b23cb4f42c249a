"""supervisord: its configuration, starting it, and talking to it.

Belongs here: everything that knows supervisor's file format and XML-RPC names.
Does not belong here: order and readiness (orchestrator.py).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.errors import unavailable
from nexus.runtime import processes
from nexus.runtime.command import Command
from nexus.runtime.home import Home, read_json, write_json
from nexus.runtime.part import Part

NAME = "supervisor"
_START_S = 30.0
_POLL_S = 0.05
# Attempts wait 1, 2, 3 ... seconds after each other, so a part that keeps failing is tried about once a minute
# after half an hour, and never given up.
_RETRIES = 1_000_000
_BAD_NAME, _NOT_RUNNING, _ALREADY_STARTED = 10, 70, 60


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What supervisord says of one program."""

    name: str
    state: str
    pid: int
    started_at: float
    note: str


def configuration(home: Home, parts: Iterable[Part]) -> str:
    """The text of supervisord.conf; commands and secrets stand in the parts' own files.

    Its paths are relative to the state folder, where supervisord runs: supervisor expands some values once and some
    twice, so that no escaping of a ``%`` in a folder's name is right for all.
    """
    root = home.root
    socket = home.socket()
    if socket.is_relative_to(root):
        socket = socket.relative_to(root)
    user = "user=root\n" if os.geteuid() == 0 else ""
    text = f"""\
[unix_http_server]
file={_escape(socket)}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
logfile={home.log(NAME).relative_to(root)}
logfile_maxbytes=5MB
logfile_backups=1
pidfile=run/supervisord.pid
childlogdir=logs
nodaemon=true
silent=true
minfds=1024
minprocs=50
{user}"""
    for part in parts:
        file = _file(home, part.name).relative_to(root)
        words = (sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(file))
        text += f"""
[program:{part.name}]
command={_escape(shlex.join(words))}
autostart=false
autorestart=true
startsecs=1
startretries={_RETRIES}
stopsignal={part.stop_signal}
stopwaitsecs={part.stop_s}
stopasgroup={str(part.is_group_stopped).lower()}
killasgroup=true
redirect_stderr=true
stdout_logfile={home.log(part.name).relative_to(root)}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""
    return text


def _escape(value: object) -> str:
    return str(value).replace("%", "%%")


def _file(home: Home, part: str) -> Path:
    return home.run / "parts" / f"{part}.json"


class Supervisor:
    """The supervisord of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def _proxy(self) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._home.socket()}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def pid(self) -> int | None:
        """Its pid, or None when it does not answer."""
        try:
            return int(self._proxy().getPID())
        except (OSError, xmlrpc.client.Error, ConnectionError):
            return None

    def start(self, parts: list[Part]) -> None:
        """Start supervisord, or tell the running one of new and changed parts.

        Processes that a killed supervisord left behind are ended first.

        Raises:
            NexusError: category ``unavailable`` when it does not come up.
        """
        home = self._home
        (home.run / "supervisord.conf").write_text(configuration(home, parts))
        if self.pid() is not None:
            try:
                self._reload()
            except xmlrpc.client.Fault as fault:
                raise unavailable(
                    f"the supervisor refused its configuration: {fault.faultString}",
                    remedy="run bin/nexus down, then bin/nexus up",
                ) from None
            return
        self.end_orphans()
        home.socket().unlink(missing_ok=True)
        words = [sys.executable, "-m", "supervisor.supervisord", "-c", str(home.run / "supervisord.conf")]
        with home.log("supervisor-start").open("wb") as log:
            child = subprocess.Popen(
                words,
                env=self._environment(),
                cwd=home.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while self.pid() is None:
            if child.poll() is not None or time.monotonic() > deadline:
                said = home.log("supervisor-start").read_text()[-400:]
                raise unavailable(f"the supervisor did not start: {said}", remedy="run bin/nexus doctor")
            time.sleep(_POLL_S)

    def _environment(self) -> dict[str, str]:
        """What all parts inherit: the caller's environment, our programs first on the path, loopback past proxies."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("NEXUS_")
        }
        proxied = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        direct = ",".join(filter(None, [proxied, "127.0.0.1,localhost"]))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        marks = {processes.HOME_MARK: str(self._home.root), processes.PART_MARK: NAME}
        return inherited | {"PATH": path, "NO_PROXY": direct, "no_proxy": direct} | marks

    def end_orphans(self) -> int:
        """End processes of this home that no supervisor watches; returns how many."""
        found = processes.ours(self._home.root)
        servers = [process for name, some in found.items() if name != "postgres" for process in some]
        # Postgres waits for its clients when it is asked with TERM; with INT it sends them away.
        return processes.end(servers) + processes.end(found.get("postgres", []), ask=signal.SIGINT)

    def _reload(self) -> None:
        """Make it know programs that were added to its configuration since it started."""
        proxy = self._proxy()
        added, changed, removed = proxy.reloadConfig()[0]
        for name in (*changed, *removed):
            self.stop(name)
            proxy.removeProcessGroup(name)
        for name in (*changed, *added):
            proxy.addProcessGroup(name)

    def start_part(self, part: str, command: Command) -> None:
        """Start a part; nothing happens when it runs with the same command already."""
        path = _file(self._home, part)
        wanted = command.as_dict()
        is_same = read_json(path) == wanted
        info = self.info(part)
        if info is not None and info.state in {"RUNNING", "STARTING"} and is_same:
            return
        if info is not None and info.state not in {"STOPPED", "EXITED", "FATAL"}:
            self.stop(part)
        write_json(path, wanted)
        try:
            self._proxy().startProcess(part, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise unavailable(
                    f"{part} could not be started: {fault.faultString}",
                    remedy=f"see bin/nexus logs {part}",
                ) from None

    def stop(self, name: str, *, is_waiting: bool = True) -> None:
        """Stop a part, and wait for it if asked to."""
        try:
            self._proxy().stopProcess(name, is_waiting)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in {_NOT_RUNNING, _BAD_NAME}:
                raise

    def all(self) -> dict[str, ProcessInfo]:
        """What it says of every part; empty when it does not answer."""
        try:
            rows = self._proxy().getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            return {}
        return {row["name"]: _info(row) for row in rows}

    def info(self, name: str) -> ProcessInfo | None:
        """What it says of one part."""
        return self.all().get(name)

    def shutdown(self, *, patience_s: float = 30.0) -> None:
        """Stop every part and the supervisor itself."""
        pid = self.pid()
        if pid is None:
            return
        try:
            self._proxy().shutdown()
        except (OSError, xmlrpc.client.Error):
            return
        deadline = time.monotonic() + patience_s
        while self.pid() is not None and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _info(row: dict[str, Any]) -> ProcessInfo:
    return ProcessInfo(
        row["name"], row["statename"], int(row["pid"]), float(row["start"]), str(row["spawnerr"] or row["description"])
    )
