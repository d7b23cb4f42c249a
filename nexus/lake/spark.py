"""The Spark Connect session that computes over the lake: Sail in this process, or a cluster by URL.

Belongs here: starting and stopping the engine. Does not belong here: transformations, writes.
Both engines get the same DataFrame code: no RDD, no DeltaTable API, no writer options (docs/architecture.md).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nexus.errors import Category, NexusError, unavailable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


MEMORY_MB = 400


class Engine:
    """Sessions, and the embedded server under them when there is no URL.

    Threads share one session of Sail. On the JVM each thread has its own: a merge takes its key from the session.
    """

    def __init__(self, url: str | None, *, is_jvm: bool = False, memory_mb: int = MEMORY_MB) -> None:
        if is_jvm and url is None:
            raise NexusError(
                "the jvm engine has no address",
                category=Category.UNAVAILABLE,
                field="lake.spark_url",
                remedy="run bin/nexus up, set lake.spark_url to a server, or set lake.engine=sail",
            )
        self._server: Any = None
        self._is_jvm = is_jvm
        self._url = url or self._embedded(memory_mb)
        self._of_thread = threading.local()
        self._sessions: list[SparkSession] = []
        self._shared = self._connect(self._url)

    @property
    def session(self) -> SparkSession:
        """The calling thread's session."""
        if not self._is_jvm:
            return self._shared
        mine: SparkSession | None = getattr(self._of_thread, "session", None)
        if mine is None:
            mine = self._shared if threading.current_thread() is threading.main_thread() else self._connect(self._url)
            self._of_thread.session = mine
            self._sessions.append(mine)
        return mine

    def _embedded(self, memory_mb: int) -> str:
        # Sail reads its settings from here. Without a limit a sort holds the whole table; with one it spills.
        os.environ.setdefault("RUST_LOG", "error")
        if memory_mb:
            os.environ.setdefault("SAIL_RUNTIME__MEMORY_POOL__TYPE", "fair")
            os.environ.setdefault("SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE", str(memory_mb * 1_000_000))
            # A merge of spilled runs holds a batch of each: with Sail's 8192 rows, 5M ratings did not fit into 400 MB.
            os.environ.setdefault("SAIL_EXECUTION__BATCH_SIZE", "2048")
        from pysail.spark import SparkConnectServer

        self._server = SparkConnectServer("127.0.0.1", 0)
        self._server.start(background=True)
        _, port = self._server.listening_address
        return f"sc://127.0.0.1:{port}"

    @staticmethod
    def _connect(url: str) -> SparkSession:
        from pyspark.errors import PySparkException

        with _named_main_module():
            from pyspark.sql.connect.session import SparkSession as ConnectSession

        try:
            session = ConnectSession.builder.remote(url).create()
            session.conf.set("spark.sql.session.timeZone", "UTC")
        except PySparkException as error:
            raise _no_engine(url, error) from error
        return session  # type: ignore[return-value]

    def stop(self) -> None:
        """End the session and the embedded server."""
        for session in {id(one): one for one in (self._shared, *self._sessions)}.values():
            session.stop()
        if self._server is not None:
            self._server.stop()
            self._server = None


@contextmanager
def _named_main_module() -> Iterator[None]:
    """Let pyspark's import see a program.

    In a process that multiprocessing spawned (every Dagster run), ``__main__`` has neither file nor spec; pyspark 4.2 then
    believes it runs doctests, looks for a Spark distribution, and calls ``sys.exit``. Remove when
    ``pyspark.sql.connect.utils.check_dependencies`` no longer does that.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is not None or hasattr(main, "__file__"):
        yield
        return
    main.__file__ = sys.executable
    try:
        yield
    finally:
        del main.__file__


def import_pyspark_safely() -> None:
    """Import pyspark's session ahead of a library that would import it by itself (MLflow does, at each start of a run).

    Does nothing where that import is harmless.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is None and not hasattr(main, "__file__"):
        with _named_main_module():
            import pyspark.sql.connect.session  # noqa: F401


def _no_engine(url: str, error: Exception) -> NexusError:
    return unavailable(
        "the Spark Connect server does not answer",
        remedy="check lake.spark_url, or unset it to compute in process",
        url=url,
        cause=str(error)[:200],
    )
