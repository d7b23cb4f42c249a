"""The one way to reach Temporal: how a client is made, and what its errors mean to a person.

Belongs here: connect, the data converter, the translation of RPC errors.
Does not belong here: what is asked of a workflow (workflows.client).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache

from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from nexus import telemetry
from nexus.errors import Category, NexusError, not_found, unavailable
from nexus.settings import Settings, not_started
from workflows.codec import data_converter

RPC_TIMEOUT = timedelta(seconds=5)
"""A person waits at most this long to hear that the engine is away."""

_AWAY = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})


@cache
def _quiet() -> Runtime:
    """The engine's own client writes coloured warnings to standard error, between a person's lines and in JSON logs."""
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(TelemetryFilter("ERROR", "ERROR"))))


async def connect(settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None) -> Client:
    """A client of the configured server; it reconnects by itself and may be shared by a whole process.

    What it asks for, and what a worker over it does, belongs to the current trace: the id travels in workflow headers.

    Args:
        settings: Names address and namespace.
        lazy: Connect at the first call, so that a process can start before the engine does.
        runtime: Where the engine's own figures and warnings go; None: nowhere.

    Raises:
        NexusError: category ``unavailable`` when the server has no address or does not answer; ``forbidden`` when the
            keyring's password is wrong.
    """
    address = settings.temporal.address
    if address is None:
        raise not_started("temporal")
    try:
        return await Client.connect(
            address,
            namespace=settings.temporal.namespace,
            data_converter=data_converter(settings),
            interceptors=[TracingInterceptor(telemetry.tracer())],
            lazy=lazy,
            connect_timeout=RPC_TIMEOUT,
            runtime=runtime or _quiet(),
        )
    except (RuntimeError, RPCError) as error:
        raise _away(error) from error


@contextmanager
def answering(operation_id: str) -> Iterator[None]:
    """Within, what goes wrong between us and the server becomes a NexusError."""
    try:
        yield
    except RPCError as error:
        raise translate(error, operation_id) from error
    except RuntimeError as error:  # what a lazy client raises when its first call finds no server
        raise _away(error) from error


def unknown_operation(operation_id: str) -> NexusError:
    """The error for an id under which nothing ever ran."""
    return not_found(
        "there is no such operation",
        field="operation_id",
        value=operation_id,
        remedy="use the operation_id of the answer that started it; finished ones are kept for the retention time",
    )


def translate(error: RPCError, operation_id: str) -> NexusError:
    """What an RPC error means to the person who asked about an operation."""
    if error.status is RPCStatusCode.NOT_FOUND:
        return unknown_operation(operation_id)
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return NexusError(
            "the engine refused the request",
            field="operation_id",
            value=operation_id,
            remedy="send a shorter, plain id",
        )
    if error.status in _AWAY:
        return _away(error)
    return NexusError(
        f"Temporal answered {error.status.name.lower()}",
        category=Category.INTERNAL,
        field="operation_id",
        value=operation_id,
        remedy="look at bin/nexus logs temporal and bin/nexus logs worker",
    )


def _away(error: Exception) -> NexusError:
    return unavailable(
        "Temporal does not answer",
        remedy="try again; see bin/nexus status and bin/nexus logs temporal",
        reason=str(error)[:200],
    )
