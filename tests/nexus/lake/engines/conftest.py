"""Both engines behind one fixture: every behaviour test runs on each; the JVM half carries the marker ``jvm``."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from nexus.errors import NexusError
from nexus.lake.lake import Lake
from nexus.runtime import ports, probes, spark

Engine = Literal["sail", "jvm"]
MakeLake = Callable[..., Lake]
READY_S, POLL_S = 120.0, 0.2


@pytest.fixture(scope="session")
def jvm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for the whole session; skipped with the reason where Java or the jars cannot be had."""
    folder = tmp_path_factory.mktemp("spark")
    (port,) = ports.choose([ports.Wish("spark", 25_000 + os.getpid() % 2_000)], {}).values()
    # The tests are short: no code is made for a query of ten rows, and Java's own is compiled quickly rather than well.
    quick = {
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
    }
    options = "-XX:TieredStopAtLevel=1"
    try:
        command = spark.command(folder, port, memory="1g", cores=2, java_options=options, more=quick)
    except NexusError as error:
        pytest.skip(f"no JVM engine: {error}")
    url, log = f"sc://127.0.0.1:{port}", folder / "log"
    with log.open("wb") as out:
        process = command.popen(out)
    try:
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            probes.ask_spark(url)
        except probes.NotReadyError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the JVM engine did not start ({error}):\n{log.read_text()[-2000:]}")
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
        else:
            return


@pytest.fixture
def open_lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeLake]:
    """Opens a lake with an engine; all at one place, unless another is named."""
    opened: list[Lake] = []

    def make(engine: Engine, folder: Path = tmp_path) -> Lake:
        url = request.getfixturevalue("jvm_url") if engine == "jvm" else None
        opened.append(Lake(str(folder), spark_url=url, is_jvm=engine == "jvm"))
        return opened[-1]

    yield make
    for lake in opened:
        lake.close()


BOTH = ["sail", pytest.param("jvm", marks=pytest.mark.jvm)]


@pytest.fixture(params=BOTH)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine under test."""
    return request.param


@pytest.fixture
def lake(engine: Engine, open_lake: MakeLake) -> Lake:
    """An empty lake with the engine under test."""
    return open_lake(engine)
