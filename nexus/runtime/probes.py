"""Readiness: each probe asks the service itself, not the process table.

Belongs here: one function per kind of service that returns when it answers and raises NotReadyError when not.
Does not belong here: when to ask and how long to wait (orchestrator.py, status.py).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Probe = Callable[[], None]
TIMEOUT_S = 5.0


class NotReadyError(Exception):
    """The service does not answer, or says that it is not well; the text says how."""


def http(url: str, *, method: str = "GET", json: Any = None) -> Any:
    """A request to one of our own servers: no proxy, short patience, NotReadyError for any failure."""
    import httpx

    try:
        answer = httpx.request(method, url, json=json, timeout=TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise NotReadyError(f"{url}: {type(error).__name__}") from None
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise NotReadyError(f"{url} answered {answer.status_code}")
    return answer


def ask_http(url: str) -> None:
    """Any success status."""
    http(url)


def ask_postgres(url: str) -> None:
    """A query."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=int(TIMEOUT_S)) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise NotReadyError(str(error).strip().splitlines()[-1]) from None


def ask_redis(url: str) -> None:
    """AUTH and PING in the protocol's own words: two lines, where a client library costs a third of a second."""
    parts = urlsplit(url)
    words = [["AUTH", *filter(None, [parts.username]), parts.password or ""]] if parts.password else []
    words.append(["PING"])
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 6379), timeout=TIMEOUT_S) as connection,
            connection.makefile("rb") as answers,
        ):
            for word in words:
                connection.sendall(b"".join([b"*%d\r\n" % len(word), *map(_bulk, word)]))
                said = answers.readline().strip()
                if said.startswith(b"-") or not said:
                    raise NotReadyError(said.decode(errors="replace") or "closed the connection")
    except OSError as error:
        raise NotReadyError(error.strerror or str(error)) from None


def _bulk(word: str) -> bytes:
    data = word.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def ask_grpc_health(address: str, service: str) -> None:
    """The standard health service of gRPC."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S
            )
        except grpc.RpcError as error:
            raise NotReadyError(f"{address}: {error.code().name.lower()}") from None
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise NotReadyError(f"{address}: not serving")


def ask_dagster_daemon(url: str) -> None:
    """Every required daemon has a fresh heartbeat."""
    query = "{instance{daemonHealth{allDaemonStatuses{daemonType required healthy}}}}"
    body = http(f"{url}/graphql", method="POST", json={"query": query}).json()
    try:
        statuses = body["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    except (KeyError, TypeError):
        raise NotReadyError("the webserver does not know the daemons") from None
    ill = [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]
    if ill:
        raise NotReadyError(f"no heartbeat from {', '.join(ill)}")


def ask_pollers(url: str, namespace: str, queue: str, is_mine: Callable[[str], bool]) -> None:
    """Our worker polls the task queue, says Temporal."""
    base = f"{url}/api/v1/namespaces/{namespace}/task-queues/{queue}"
    pollers = http(f"{base}?taskQueueType=TASK_QUEUE_TYPE_WORKFLOW").json().get("pollers", [])
    if not any(is_mine(str(poller.get("identity", ""))) for poller in pollers):
        raise NotReadyError(f"nobody polls the task queue {queue}")
