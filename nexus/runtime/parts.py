"""The parts of the platform: what each is started with, what it needs, and how it is asked whether it is well.

Belongs here: one function per part that is a program of the Python environment, and the list of all.
Does not belong here: chain and IPFS node (web3.py), order of starting (orchestrator.py), supervision (supervisor.py).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from nexus.runtime import dagster, postgres, probes, processes, redis, spark, temporal, web3
from nexus.runtime.command import Command
from nexus.runtime.part import MIGRATION, Part, marked, with_marks
from nexus.runtime.probes import Probe
from nexus.runtime.state import State, endpoints
from nexus.settings import ROOT, Settings

NAMES = (
    "postgres", "redis", "temporal", "mlflow", "dagster-code", "dagster-webserver", "dagster-daemon", "api", "worker",
)  # fmt: skip
# Only with some settings or where asked for: the JVM engine; the parts of ``--with web3``.
OPTIONAL = ("spark", "chain", "ipfs")
# Together when stopping: those that use the stores, then the stores.
STORES = frozenset({"postgres", "redis", "temporal", "chain", "ipfs"})


def all_parts(state: State) -> list[Part]:
    """Every part of this installation, in the order in which people think of them."""
    settings = state.settings()
    return [
        _postgres(state, settings),
        _redis(state, settings),
        _temporal(state, settings),
        _mlflow(state, settings),
        *_dagster(state, settings),
        _api(state, settings),
        _worker(state, settings),
        *_spark(state, settings),
        *(web3.parts(state, settings) if "web3" in state.choices else ()),
    ]


def python(state: State, part: str, *words: str, env: dict[str, str] | None = None) -> Command:
    """A program of our own environment, with everything that its settings need."""
    # The digest changes when a part listens elsewhere, so that those who read the endpoints are started anew.
    digest = hashlib.sha256(json.dumps(endpoints(state), sort_keys=True).encode()).hexdigest()[:16]
    own = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2", "NEXUS_ENDPOINTS_DIGEST": digest}
    return Command((sys.executable, *words), env=marked(state, part, own | (env or {})), cwd=str(ROOT))


def _postgres(state: State, settings: Settings) -> Part:
    url = settings.postgres.owner_url(driver="")
    maintenance = settings.postgres.owner_url(driver="", database="postgres")
    probe = partial(probes.ask_postgres, maintenance)
    if state.is_external("postgres"):
        return Part("postgres", _without_login(url), probe)

    def make() -> Command:
        data = state.home.root / "postgres" / "data"
        identity = postgres.run_as(data)
        postgres.initialise(data, state.secrets.postgres, identity)
        return with_marks(state, "postgres", postgres.command(data, state.ports["postgres"], identity))

    return Part("postgres", _without_login(url), probe, make, stop_signal="INT", is_group_stopped=False)


def _redis(state: State, settings: Settings) -> Part:
    url = settings.redis.dsn()
    probe = partial(probes.ask_redis, url)
    if state.is_external("redis"):
        return Part("redis", _without_login(url), probe)

    def make() -> Command:
        command = redis.command(state.home.root / "redis", state.ports["redis"], state.secrets.redis)
        return with_marks(state, "redis", command)

    return Part("redis", _without_login(url), probe, make)


def _temporal(state: State, settings: Settings) -> Part:
    address = settings.temporal.address or ""
    if state.is_external("temporal"):
        service = "temporal.api.workflowservice.v1.WorkflowService"
        return Part("temporal", settings.temporal.ui_url or address, partial(probes.ask_grpc_health, address, service))
    listening = temporal.Ports(*(state.ports[f"temporal{end}"] for end in ("", "-http", "-metrics", "-ui")))
    probe = partial(probes.ask_http, f"{_temporal_http(state)}/api/v1/namespaces/{settings.temporal.namespace}")

    def make() -> Command:
        return with_marks(state, "temporal", temporal.command(state.home.root / "temporal", listening))

    return Part("temporal", settings.temporal.ui_url, probe, make)


def _temporal_http(state: State) -> str:
    return f"http://127.0.0.1:{state.ports['temporal-http']}"


def _mlflow(state: State, settings: Settings) -> Part:
    url = settings.mlflow.url or ""
    probe = partial(probes.ask_http, f"{url}/health")
    if state.is_external("mlflow"):
        return Part("mlflow", url, probe)
    folder = state.home.root / "mlflow"
    artifacts = folder / "artifacts"
    store = settings.postgres.owner_url(driver="psycopg2", database=settings.postgres.mlflow_database)
    # One process instead of a launcher and its worker: 330 instead of 650 MB. The names with an underscore are
    # MLflow's own hand-over from launcher to worker; mlflow is pinned, and a test starts this very command.
    env = {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(artifacts),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "HOME": str(folder),
    }
    words = (
        "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--host", "127.0.0.1", "--port", str(state.ports["mlflow"]),
        "--log-level", "warning",
    )  # fmt: skip

    def make() -> Command:
        artifacts.mkdir(parents=True, exist_ok=True)
        return python(state, "mlflow", *words, env=env)

    return Part("mlflow", url, probe, make, needs=(MIGRATION,))


def _dagster(state: State, settings: Settings) -> list[Part]:
    url = settings.dagster.url or ""
    heartbeat = partial(probes.ask_dagster_daemon, url)
    web = partial(probes.ask_http, f"{url}/server_info")
    if state.is_external("dagster"):
        return [
            Part("dagster-code", None, web),
            Part("dagster-webserver", url, web),
            Part("dagster-daemon", None, heartbeat),
        ]
    port = state.ports["dagster-code"]
    env = dagster.environment(state.home, settings)
    answers = partial(probes.ask_grpc_health, f"127.0.0.1:{port}", dagster.HEALTH_SERVICE)

    def program(part: str, *words: str) -> Callable[[], Command]:
        return partial(python, state, part, *words, env=env)

    return [
        Part(
            "dagster-code",
            f"grpc://127.0.0.1:{port}",
            answers,
            program("dagster-code", *dagster.code_words(port)),
            stop_s=15,
        ),
        Part(
            "dagster-webserver",
            url,
            web,
            program("dagster-webserver", *dagster.webserver_words(state.home, state.ports["dagster-webserver"])),
            needs=(MIGRATION, "dagster-code"),
        ),
        Part(
            "dagster-daemon",
            None,
            heartbeat,
            program("dagster-daemon", *dagster.daemon_words(state.home)),
            needs=(MIGRATION, "dagster-code"),
            asks=("dagster-webserver",),
            stop_s=15,
        ),
    ]


def _api(state: State, settings: Settings) -> Part:
    url = settings.api.url or ""
    probe = partial(probes.ask_http, f"{url}/health/live")
    if state.is_external("api"):
        return Part("api", url, probe)
    words = (
        "-m", "uvicorn", "serving.app:create_app", "--factory", "--host", settings.api.host,
        "--port", str(state.ports["api"]), "--loop", "uvloop", "--http", "httptools", "--no-access-log",
        "--timeout-graceful-shutdown", "5",
    )  # fmt: skip
    # Small products, many at once: a second thread of the linear algebra only spins, 10 ms of a core per answer.
    env = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return Part("api", url, probe, partial(python, state, "api", *words, env=env), needs=(MIGRATION, "redis"))


def _worker(state: State, settings: Settings) -> Part:
    if state.is_external("temporal"):
        probe: Probe = partial(_ask_process, state, "worker")
    else:
        probe = partial(
            probes.ask_pollers,
            _temporal_http(state),
            settings.temporal.namespace,
            settings.temporal.task_queue,
            _is_of_living_worker(state),
        )
    make = partial(python, state, "worker", "-m", "workflows.worker")
    return Part("worker", None, probe, make, needs=(MIGRATION, "temporal", "redis"), stop_s=15)


def _spark(state: State, settings: Settings) -> list[Part]:
    """None with Sail, which computes inside the processes that ask."""
    url = settings.lake.spark_url
    if url is None or (state.user.lake.spark_url is None and "spark" not in state.ports):
        return []
    probe = partial(probes.ask_spark, url)
    if state.user.lake.spark_url is not None:
        return [Part("spark", url.partition(";")[0], probe)]

    def make() -> Command:
        lake = settings.lake
        command = spark.command(
            state.home.root / "spark", state.ports["spark"], memory=lake.spark_memory, jars=lake.spark_jars
        )
        return with_marks(state, "spark", command)

    return [Part("spark", url, probe, make, stop_s=20)]


def _ask_process(state: State, part: str) -> None:
    if part not in processes.ours(state.home.root):
        raise probes.NotReadyError("no such process")


def _is_of_living_worker(state: State) -> Callable[[str], bool]:
    """Whether a poller's identity (``pid@host``) is of a worker of this home; Temporal names dead ones for minutes."""

    def check(identity: str) -> bool:
        living = {str(process.pid) for process in processes.ours(state.home.root).get("worker", [])}
        return any(identity.startswith(f"{pid}@") or f"-{pid}" in identity for pid in living)

    return check


def _without_login(url: str) -> str:
    """A URL that may be shown."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
