"""The jars that make Spark write Delta tables: seven files, pinned by checksum, fetched once.

Belongs here: fetching them with Maven, checking them. Does not belong here: the server that loads them (spark.py).
The list is ``deploy/spark/jars.sha256``; ``deploy/spark/pom.xml`` says where they come from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nexus.errors import NexusError, unavailable
from nexus.settings import ROOT

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_RECIPE = ROOT / "deploy" / "spark"
_FETCHED = ROOT / ".tools" / "spark-jars"
_FETCH_S = 600.0


def pinned() -> dict[str, str]:
    """File name -> SHA-256 of every jar."""
    lines = (_RECIPE / "jars.sha256").read_text().split("\n")
    return {name: digest for digest, name in (line.split() for line in lines if line)}


def jars(own: Path | None = None) -> tuple[Path, ...]:
    """The jars, each checked; fetched first where there is no folder of one's own and they are not there yet.

    Args:
        own: A folder that a person filled (``lake.spark_jars``).

    Raises:
        NexusError: ``invalid`` for a jar that is missing from the folder or is another file than the pinned one,
            ``unavailable`` when they cannot be fetched.
    """
    wanted = pinned()
    if own is None and not all((_FETCHED / name).is_file() for name in wanted):
        _fetch(wanted)
    folder = own or _FETCHED
    check(folder, wanted)
    return tuple(folder / name for name in sorted(wanted))


def check(folder: Path, wanted: Mapping[str, str]) -> None:
    """Refuse a folder in which a jar is missing or is not the pinned file.

    Raises:
        NexusError: category ``invalid``; the value is the jar's path.
    """
    for name, digest in sorted(wanted.items()):
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise NexusError(
                f"a jar of the engine cannot be read: {error.strerror}",
                field="lake.spark_jars",
                value=path,
                remedy="put every file of deploy/spark/jars.sha256 there, or unset lake.spark_jars to fetch them",
            ) from None
        if found != digest:
            raise NexusError(
                "a jar of the engine is not the pinned file",
                field="lake.spark_jars",
                value=path,
                remedy=f"remove the folder {folder}, so that it is fetched again; if it stays, the source is wrong",
                expected=digest,
                got=found,
            )


def _fetch(wanted: Mapping[str, str]) -> None:
    """Into a folder beside, which takes the right name only when every file is the pinned one."""
    maven = shutil.which("mvn")
    if maven is None:
        raise _cannot("there is no mvn on the PATH")
    _FETCHED.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="spark-jars-", dir=_FETCHED.parent))
    words = [maven, "-B", "-ntp", "-f", str(_RECIPE / "pom.xml"), PLUGIN, "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*words, f"-DoutputDirectory={fresh}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "MAVEN_ARGS": "", "NO_COLOR": "1"},
            timeout=_FETCH_S,
            check=False,
        )
        if done.returncode:
            said = [line for line in done.stdout.splitlines() if "ERROR" in line]
            raise _cannot(said[0][:400] if said else f"mvn ended with {done.returncode}")
        check(fresh, wanted)
        shutil.rmtree(_FETCHED, ignore_errors=True)
        fresh.rename(_FETCHED)
    except subprocess.TimeoutExpired:
        raise _cannot(f"mvn did not end within {_FETCH_S:.0f} s") from None
    except FileExistsError:  # another process was faster; the caller checks what is there
        return
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _cannot(cause: str) -> NexusError:
    return unavailable(
        f"the jars of the jvm engine cannot be fetched: {cause}",
        remedy="install Maven (apt-get install maven) and check its settings, or put the files of deploy/spark/jars.sha256 "
        "into a folder and set lake.spark_jars; lake.engine=sail needs none of this",
    )
