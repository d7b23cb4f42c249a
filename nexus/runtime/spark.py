"""The embedded JVM engine: a Spark Connect server with Delta, in an environment of its own.

Belongs here: finding Java, the server's command line. Does not belong here: its jars (spark_jars.py), its clients
(nexus.lake.spark). The server listens on loopback only and knows no login: whoever may connect may run code.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from nexus.errors import unavailable
from nexus.runtime import spark_jars
from nexus.runtime.command import Command
from nexus.runtime.environments import environment

LEAST_JAVA = 17
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_TIMEOUT_S = 20
# What Spark and Delta start per shuffle, snapshot and listing is made for clusters (200, 50 and 10000 tasks).
_SMALL: Mapping[str, str] = {
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
}
_ALWAYS: Mapping[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "WARN",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    # Retention is kept by nexus.lake.maintenance, which knows what must stay; Delta's own guard knows only hours.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
}


def java() -> str:
    """The Java program: of ``JAVA_HOME``, else of the PATH; new enough.

    Raises:
        NexusError: category ``unavailable`` when there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    version = _version(found) if found else 0
    if found is None or version < LEAST_JAVA:
        what = f"{found} is Java {version or '(unknown)'}" if found else "there is no java"
        raise unavailable(
            f"the jvm engine needs Java {LEAST_JAVA} or newer: {what}",
            remedy="install one (apt-get install openjdk-17-jre-headless) or set JAVA_HOME; "
            "or set lake.spark_url to a server elsewhere; or lake.engine=sail, which needs no Java",
        )
    return found


def _version(program: str) -> int:
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)', said.stderr + said.stdout)
    return int(match[1]) if match else 0


def command(
    folder: Path,
    port: int,
    *,
    memory: str = "2g",
    cores: int | None = None,
    jars: Path | None = None,
    java_options: str = "",
    more: Mapping[str, str] | None = None,
) -> Command:
    """The server's command line.

    Args:
        folder: What it writes besides tables lies there.
        port: Where it listens, on loopback.
        memory: Heap.
        cores: How many tasks run at once; None: as many as there are cores.
        jars: A folder of one's own with the pinned jars.
        java_options: More words for Java.
        more: Further settings of Spark.

    Raises:
        NexusError: category ``unavailable`` when Java, the jars or the environment cannot be had.
    """
    program = java()
    files = spark_jars.jars(jars)
    venv = environment("spark")
    home = next(venv.glob("lib/python3*/site-packages/pyspark"))
    for name in ("warehouse", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    own = {
        "spark.connect.grpc.binding.port": str(port),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "tmp"),
        "spark.driver.extraJavaOptions": " ".join(
            filter(None, (f"-Djava.io.tmpdir={folder / 'tmp'} -XX:+UseSerialGC", java_options))
        ),
    }
    words = [str(home / "bin" / "spark-submit"), "--master", f"local[{cores or '*'}]", "--driver-memory", memory]
    words += ["--name", "nexus", "--jars", ",".join(map(str, files)), "--class", SERVER]
    for name, value in {**_ALWAYS, **_SMALL, **own, **(more or {})}.items():
        words += ["--conf", f"{name}={value}"]
    env = {
        "JAVA_HOME": str(Path(program).resolve().parent.parent),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(venv / "bin" / "python"),
        "HOME": str(folder),
    }
    return Command(tuple(words), env=env, cwd=str(folder))
