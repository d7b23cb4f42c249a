"""What is kept: the database's revision, the lake's tables, how the last run ended.

Belongs here: checks that read a little of each. Does not belong here: models (training.doctor).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from nexus.doctor.finding import Finding
from nexus.errors import NexusError
from nexus.runtime.home import Home
from nexus.runtime.probes import NotReadyError, ask_http, ask_postgres
from nexus.runtime.state import known
from nexus.settings import Settings

_RAW = "raw_"


def database(home: Home, user: Settings) -> Iterator[Finding]:
    """Whether the schemas are those that this version expects."""
    state = known(home, user)
    if state is None:
        return
    settings = state.settings()
    try:
        ask_postgres(settings.postgres.owner_url(driver="", database="postgres"))
    except NotReadyError:
        return  # the part itself says so
    import psycopg
    import sqlalchemy as sa

    from nexus.db import migrate

    try:
        found, expected = migrate.current(settings), migrate.head()
    except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
        reason = str(error).strip().splitlines()[0][:160]
        yield Finding("database", f"its schemas cannot be read: {reason}", "run bin/nexus up, which makes them")
        return
    if found == expected:
        yield Finding("database", f"at revision {found}")
    elif migrate.is_known(found):
        yield Finding(
            "database",
            f"migrations are missing: at revision {found or 'none'}, expected {expected}",
            "run bin/nexus up",
        )
    else:
        yield Finding(
            "database",
            f"newer than this version of NEXUS: revision {found}",
            "run the version that made it, or a later one",
        )


def alerts(home: Home, user: Settings) -> Iterator[Finding]:
    """What failed and is not well yet; nothing when the database does not answer (the part says so)."""
    state = known(home, user)
    if state is None:
        return
    from nexus.alerts import open_count

    count = open_count(state.settings())
    if count is not None:
        said = f"{count} open" if count else "none"
        yield Finding("alerts", said, "see bin/nexus alerts" if count else None, is_warning=True)


def tables(_home: Home, user: Settings) -> Iterator[Finding]:
    """Whether every table opens, and every file that it names is there in its size."""
    if "://" in user.lake_url:
        return
    from nexus.lake.catalogue import TABLES

    bad = 0
    seen = 0
    for name in TABLES:
        folder = Path(user.lake_url) / name
        if not folder.exists():
            continue
        seen += 1
        damage = damage_of(folder)
        if damage is not None:
            bad += 1
            yield _damaged(folder, damage)
    if seen and not bad:
        yield Finding("lake", f"{seen} tables, every file there")


def _damaged(folder: Path, damage: str) -> Finding:
    if folder.name.startswith(_RAW):
        remedy = "restore the folder from a copy; loads are kept in the inbox, events only here"
        return Finding(folder.name, f"unreadable: {damage}", remedy)
    return Finding(
        folder.name,
        f"unreadable: {damage}",
        "run bin/nexus doctor --fix, which moves it aside, then bin/nexus pipeline run, which makes it anew",
        mend=lambda: set_aside(folder),
    )


def damage_of(folder: Path) -> str | None:
    """What is wrong with a table on this machine's disk; None: nothing that a look at its files shows."""
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        actions = pa.table(DeltaTable(str(folder)).get_add_actions(flatten=True))
    except (DeltaError, OSError, ValueError) as error:
        return str(error).strip().splitlines()[0][:160]
    for path, size in zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True):
        file = folder / path
        if not file.is_file():
            return f"{path} is missing"
        if file.stat().st_size != size:
            return f"{path} has {file.stat().st_size} bytes instead of {size}"
        if damage := _parquet_damage(file):
            return f"{path}: {damage}"
    return None


def _parquet_damage(file: Path) -> str | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        return str(error).splitlines()[0][:120]
    return None


def set_aside(folder: Path) -> str:
    """Move a table away, so that the next run makes it anew; returns what was done."""
    place = folder.parent.parent / "damaged" / f"{folder.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    place.parent.mkdir(exist_ok=True)
    folder.rename(place)
    return f"{folder.name}: moved to {place}; bin/nexus pipeline run makes it anew"


def last_run(home: Home, user: Settings) -> Iterator[Finding]:
    """How the last run of the pipeline ended."""
    from nexus.runtime.pipeline import Pipeline

    state = known(home, user)
    url = state.settings().dagster.url if state is not None else None
    if url is None:
        return
    try:
        ask_http(f"{url}/server_info")
        last = Pipeline(url, home.root).last("pipeline")
    except (NotReadyError, NexusError):
        return
    if last is not None:
        is_well = last[1] not in {"FAILURE", "CANCELED"}
        remedy = None if is_well else f"see {url}/runs/{last[0]}, then run bin/nexus pipeline run"
        yield Finding("last pipeline run", last[1].lower(), remedy)
