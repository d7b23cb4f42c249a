"""Readiness: each probe asks the service itself, not the process table.

Belongs here: one function per kind of service that returns when it answers and raises NotReadyError when not.
Does not belong here: when to ask and how long to wait (orchestrator.py, status.py).
"""

from __future__ import annotations

import http.client as http_client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

Probe = Callable[[], None]
TIMEOUT_S = 5.0
# One session for all probes: the server keeps each for an hour.
_SPARK_SESSION = b"6e657875-7300-4000-8000-70726f626500"


class NotReadyError(Exception):
    """The service does not answer, or says that it is not well; the text says how."""


def http(url: str, *, body: Any = None, timeout_s: float = TIMEOUT_S) -> Any:
    """A request to one of our own servers and its JSON answer: no proxy, short patience, NotReadyError for any failure.

    The standard library's client: a tenth of the processor time that httpx takes for its first request, and ``up`` asks
    hundreds of times on the very cores that its parts need to start.

    Args:
        url: Where to.
        body: Sent as JSON, by POST; None: GET.
        timeout_s: How long to wait for a word.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - our own servers, or a person's URL
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout_s) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        raise NotReadyError(f"{url} answered {error.code}") from None
    except (OSError, http_client.HTTPException, ValueError) as error:
        raise NotReadyError(f"{url}: {getattr(error, 'reason', None) or type(error).__name__}") from None
    try:
        return json.loads(said)
    except ValueError:
        return None


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


def ask_spark(url: str) -> None:
    """A Spark Connect server says its version: it has an engine behind it, not only an open port.

    Three fields written out, where the client library costs a second: session and user, and "what version".
    """
    import grpc

    address = urlsplit(url).netloc
    user = b"\x0a" + _short(b"nexus")
    question = b"\x0a" + _short(_SPARK_SESSION) + b"\x12" + _short(user) + b"\x52\x00"
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary("/spark.connect.SparkConnectService/AnalyzePlan")
        try:
            ask(question, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise NotReadyError(f"{address}: {error.code().name.lower()}") from None


def _short(data: bytes) -> bytes:
    """A field of fewer than 128 bytes, with its length."""
    return bytes([len(data)]) + data


def ask_chain(urls: Sequence[str], chain_id: int | None) -> None:
    """One endpoint at least is of the chain; a URL may hold a key, so only its host is told."""
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    said = "no endpoint"
    for url in urls:
        host = urlsplit(url).hostname
        try:
            found = int(http(url, body=question)["result"], 16)
        except NotReadyError as error:
            said = f"{host}: {str(error).replace(url, '').lstrip(': ') or 'no answer'}"
        except (KeyError, TypeError, ValueError):
            said = f"{host}: no JSON-RPC"
        else:
            if chain_id is None or found == chain_id:
                return
            said = f"{host} is of chain {found}, not {chain_id}"
    raise NotReadyError(said)


def ask_ipfs(url: str) -> None:
    """An IPFS node says its identity; its RPC takes only POST."""
    if "ID" not in (http(f"{url.rstrip('/')}/api/v0/id", body={}) or {}):
        raise NotReadyError("says no identity")


def ask_dagster_daemon(url: str) -> None:
    """Every required daemon has a fresh heartbeat."""
    query = "{instance{daemonHealth{allDaemonStatuses{daemonType required healthy}}}}"
    body = http(f"{url}/graphql", body={"query": query})
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
    pollers = (http(f"{base}?taskQueueType=TASK_QUEUE_TYPE_WORKFLOW") or {}).get("pollers", [])
    if not any(is_mine(str(poller.get("identity", ""))) for poller in pollers):
        raise NotReadyError(f"nobody polls the task queue {queue}")
