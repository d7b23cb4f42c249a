"""One feature read through our access, against Feast's SDK on the same rows and the same Redis.

    .venv/bin/python -m benchmarks.features [--reads 2000] [--viewers 2000]

Protocol. A Postgres (registry) and a Redis (online store) of their own are started on free ports in a temporary folder;
the repository is applied and random features of ``--viewers`` viewers are published, as the pipeline does. Then viewers are read
one by one, in a random order, by ``features.online.ViewerFeatures.read`` (what a recommendation calls) and by Feast's
``get_online_features(...).to_dict()`` in turns, so that both meet the same load; both answers are compared first. Figures are
medians; the limit is on their ratio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from uuid import UUID

import numpy as np
import polars as pl

from features import store
from features.definitions import CONTEXT_REFERENCES, VIEWER
from features.online import ViewerFeatures
from features.schema import CONTEXT_FEATURES, TIMESTAMP
from nexus.db.migrate import upgrade
from nexus.runtime import ports, postgres, redis
from nexus.runtime.command import Command
from nexus.settings import Settings

AT_MOST = 1.1
SEED, WARM_UP, READY_S = 20_261_123, 100, 60.0


@contextmanager
def running(command: Command, log: Path, port: int) -> Iterator[None]:
    """A server, ended at the end."""
    import socket

    with log.open("wb") as out:
        process = command.popen(out)
    try:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command.argv[0]} did not start:\n{log.read_text()[-2000:]}") from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def servers(folder: Path) -> Iterator[Settings]:
    """Settings of servers of our own."""
    chosen = ports.choose([ports.Wish("postgres", 25_432), ports.Wish("redis", 26_379)], {})
    data, password = folder / "postgres" / "data", postgres.new_password()
    data.parent.mkdir()
    folder.chmod(0o755)
    identity = postgres.run_as(data)
    postgres.initialise(data, password, identity)
    settings = Settings(
        home=folder / "home",
        postgres={
            "url": postgres.url(chosen["postgres"], password, "nexus"),
            "role_passwords": {role: postgres.new_password() for role in ("api", "worker", "pipeline", "reader")},
        },
        redis={"url": redis.url(chosen["redis"], password)},
    )
    with (
        running(postgres.command(data, chosen["postgres"], identity), folder / "postgres.log", chosen["postgres"]),
        running(redis.command(folder / "redis", chosen["redis"], password), folder / "redis.log", chosen["redis"]),
    ):
        wait_for_postgres(settings)
        upgrade(settings)
        yield settings


def wait_for_postgres(settings: Settings) -> None:
    """A port that answers is not yet a database that does."""
    import psycopg

    deadline = time.monotonic() + READY_S
    while True:
        try:
            psycopg.connect(settings.postgres.owner_url(driver="", database="postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def newest(viewers: int) -> pl.DataFrame:
    """One row of random features per viewer."""
    random = np.random.default_rng(SEED)
    ids = [str(UUID(bytes=random.bytes(16), version=4)) for _ in range(viewers)]
    numbers = {
        name: pl.Series(random.integers(1, 1000, viewers))
        if name == "viewer_interactions"
        else pl.Series(random.random(viewers))
        for name in VIEWER.features
    }
    return pl.DataFrame({VIEWER.key: ids, TIMESTAMP: [datetime(2026, 1, 1, tzinfo=UTC)] * viewers, **numbers})


def measure(settings: Settings, viewers: int, reads: int) -> float:
    """The ratio of both medians."""
    rows = newest(viewers)
    feast = store.feature_store(settings)
    store.apply(feast, settings)
    store.publish(feast, {VIEWER.name: rows}, now=datetime.now(UTC))
    reader = ViewerFeatures.from_settings(settings)

    def sdk(viewer: str) -> dict[str, list[float]]:
        found: dict[str, list[float]] = feast.get_online_features(
            features=list(CONTEXT_REFERENCES), entity_rows=[{VIEWER.key: viewer}]
        ).to_dict()
        return found

    order = np.random.default_rng(SEED).choice(rows[VIEWER.key].to_numpy(), reads + WARM_UP)
    taken: dict[str, list[float]] = {"ours": [], "feast": []}
    for number, viewer in enumerate(order.tolist()):
        began = perf_counter()
        mine = reader.read(viewer)
        between = perf_counter()
        theirs = sdk(viewer)
        ended = perf_counter()
        wanted = np.array([theirs[name][0] for name in CONTEXT_FEATURES], dtype=np.float32)
        assert np.array_equal(mine, wanted), f"{viewer}: {mine} is not {wanted}"
        if number >= WARM_UP:
            taken["ours"].append(between - began)
            taken["feast"].append(ended - between)
    (ours, ours_99), (sdk_, sdk_99) = (np.percentile(taken[name], [50, 99]) * 1e3 for name in ("ours", "feast"))
    print(f"{reads:,} reads of one viewer, {len(CONTEXT_FEATURES)} features, {viewers:,} viewers in Redis")
    print(f"ours       p50 {ours:6.3f} ms   p99 {ours_99:6.3f} ms")
    print(f"Feast SDK  p50 {sdk_:6.3f} ms   p99 {sdk_99:6.3f} ms")
    print(f"ratio of medians {ours / sdk_:.2f}   limit {AT_MOST}")
    return float(ours / sdk_)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=2000)
    parser.add_argument("--viewers", type=int, default=2000)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with (
        tempfile.TemporaryDirectory(prefix="nexus-bench-", ignore_cleanup_errors=True) as folder,
        servers(Path(folder)) as settings,
    ):
        ratio = measure(settings, given.viewers, given.reads)
    print("limit met" if ratio <= AT_MOST else "the limit is missed")
    sys.exit(ratio > AT_MOST)


if __name__ == "__main__":
    main()
