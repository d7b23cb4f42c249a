"""Fixtures that start the real embedded servers, and the rules every test keeps.

Belongs here: session-scoped servers on free ports in temporary folders (one set per xdist worker), the marker rule,
blocked sockets in unit tests. Does not belong here: data and helpers of one area (they live beside its tests).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pytest_socket import disable_socket, enable_socket

from nexus import telemetry
from nexus.runtime import ports, postgres, redis, temporal
from nexus.runtime.command import Command
from nexus.settings import Settings

MARKERS = {"unit", "integration", "slow"}
LONG = {"slow", "jvm"}
_DIED = pytest.StashKey[bool]()
READY_S = 60.0
POLL_S = 0.02
# Tests must not depend on the settings of the person who runs them.
for _name in [
    name for name in os.environ if name.startswith("NEXUS_") and not name.startswith(("NEXUS_TEST_", "NEXUS_NO_SKIP"))
]:
    del os.environ[_name]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Where pytest is a script's background job SIGINT is ignored; Dagster copies that to SIGTERM, and children would inherit both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Two workers' platforms train side by side: threads that wait must not spin on cores that others need.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
# A loaded machine is slow; that is no failure of a property.
hypothesis.settings.register_profile(
    "nexus", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("nexus")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test carries exactly one of the three markers; the longest files come first, so that none is the tail."""
    wrong = [item.nodeid for item in items if len(MARKERS & {mark.name for mark in item.iter_markers()}) != 1]
    if wrong:
        raise pytest.UsageError(f"exactly one marker of unit, integration, slow is needed on: {', '.join(wrong)}")
    long = {item.path for item in items if LONG & {mark.name for mark in item.iter_markers()}}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker that died took tests with it that nobody ran."""
    if error:
        node.config.stash[_DIED] = True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Then the run says nothing of those tests: its code is another than that of failed tests."""
    if session.config.stash.get(_DIED, False):
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    """In CI (NEXUS_NO_SKIP=1) a test is not skipped for a missing system part: it fails.

    Data that only some machines have (its folder comes from NEXUS_TEST_...) may be absent there too.
    """
    report = yield
    if os.environ.get("NEXUS_NO_SKIP") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "NEXUS_TEST_" not in reason:
            report.outcome = "failed"
            report.longrepr = f"NEXUS_NO_SKIP=1 and the test was skipped: {reason}"
    return report


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Unit tests open no socket (unix sockets stay: asyncio needs a pair of them)."""
    if request.node.get_closest_marker("unit") is None:
        yield
        return
    disable_socket(allow_unix_socket=True)
    try:
        yield
    finally:
        enable_socket()


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; workers start their search apart from each other."""
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))) or 0)
    start = 20_000 + worker * 1_000 + (os.getpid() % 90) * 10
    wishes = [ports.Wish(f"test-{number}", start + number) for number in range(count)]
    return list(ports.choose(wishes, {}).values())


@contextmanager
def _running(command: Command, log: Path, is_ready: Callable[[], bool], stop: int = signal.SIGTERM) -> Iterator[None]:
    """Start a server, wait until it answers, and end it and its group in any case."""
    with log.open("wb") as out:
        process = command.popen(out)
    try:
        deadline = time.monotonic() + READY_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command.argv[0]} did not start:\n{log.read_text()[-2000:]}")
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _postgres_answers(url: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(url: str) -> bool:
    import redis as client

    try:
        with client.Redis.from_url(url) as connection:
            return bool(connection.ping())
    except client.RedisError:
        return False


def _http_answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Owner's libpq URL (database ``postgres``) of a fresh embedded server."""
    data = tmp_path_factory.mktemp("postgres") / "data"
    identity = postgres.run_as(data)
    password = postgres.new_password()
    postgres.initialise(data, password, identity)
    (port,) = _free_ports(1)
    quick = (("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off"))
    url = postgres.url(port, password, "postgres")
    command = postgres.command(data, port, identity, options=quick)
    with _running(command, data.parent / "log", lambda: _postgres_answers(url), stop=signal.SIGINT):
        yield url


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a fresh embedded server."""
    data = tmp_path_factory.mktemp("redis")
    (port,) = _free_ports(1)
    password = postgres.new_password()
    url = redis.url(port, password)
    with _running(redis.command(data, port, password), data / "log", lambda: _redis_answers(url)):
        yield url


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address (host:port) of a fresh embedded server, namespace ``default``."""
    data = tmp_path_factory.mktemp("temporal")
    frontend, http, metrics = _free_ports(3)
    command = temporal.command(data, temporal.Ports(frontend, http, metrics, ui=None))
    health = f"http://127.0.0.1:{http}/api/v1/namespaces/default"
    with _running(command, data / "log", lambda: _http_answers(health)):
        yield f"127.0.0.1:{frontend}"


@pytest.fixture(autouse=True)
def _untraced() -> Iterator[None]:
    """A test that configures tracing gets its own, whatever a wider fixture left behind, and leaves none."""
    before, telemetry._process.active = telemetry._process.active, None
    yield
    made, telemetry._process.active = telemetry._process.active, before
    if made is not None:
        made.close()


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the endpoints of a platform that runs in this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXUS_HOME", str(tmp_path_factory.mktemp("nexus-home")))
        yield


@pytest.fixture(scope="session")
def settings(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, redis_server: str, temporal_server: str
) -> Settings:
    """Settings of a fresh home whose servers run and whose database is migrated."""
    roles = {role: postgres.new_password() for role in ("api", "worker", "pipeline", "reader")}
    built = Settings(
        home=tmp_path_factory.mktemp("home"),
        postgres={"url": postgres_server.rpartition("/")[0] + "/nexus", "role_passwords": roles},
        redis={"url": redis_server},
        temporal={"address": temporal_server},
    )
    if importlib.util.find_spec("nexus.db.migrate"):
        importlib.import_module("nexus.db.migrate").upgrade(built)
    return built
