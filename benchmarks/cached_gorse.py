"""Kept recommendations answered a second: ours against gorse's, at 16 connections, interleaved in one run.

Run it beside a running API::

    .venv/bin/python -m benchmarks.cached_gorse --data PATH [--seconds 10] [--connections 16] [--rounds 3] [--viewers 200] [--json FILE]

Protocol: gorse (0.4.16, SQLite stores) is started, loaded with the data and left until every viewer has a list of their own;
then rounds, one after the other: ``GET /v1/users/{user}/recommendations?limit=10`` of ours and ``GET /api/recommend/{user}?n=10`` of gorse's, of
``--viewers`` viewers in turn, each asked twice before the clock starts, by the same load generator (that of
:mod:`benchmarks.served`), which shares the machine with both. Both servers stay up in all rounds. The API's own counters say how many of our
answers were kept ones. A live probe of ours in the same rounds says what the machine answers at all. ``per_cpu_s`` are answers a second of
processor time of the servers (ours with Redis, which each kept answer asks): it does not depend on what else the machine does, but
forgets that gorse uses as many cores as there are.

Limit: the median of ours is at least 3 times the median of gorse's. Exit status 1 below, or when our answers were not kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from benchmarks import served
from benchmarks.gorse.gorse_server import PORT, VERSION, load, running, wait_until_personal
from nexus.settings import load as load_settings
from training.files.reading import load_path
from training.protocols import task as make_task

LIMIT = 3.0
Rate = Callable[[str, list[str], float, int], float]


def measure(url: str, given: argparse.Namespace) -> dict[str, Any]:
    """All rounds."""
    rate: Rate = served.by_wrk if shutil.which("wrk") else served.by_asyncio
    dataset = load_path(given.data).dataset
    task = make_task("leave-one-out", dataset)
    with running("gorse-factors", 2) as gorse, httpx.Client(base_url=url, timeout=10, trust_env=False) as ours:
        load(gorse, dataset, task)
        waited = wait_until_personal(gorse, task.viewers)
        users = ours.get("/v1/users", params={"limit": given.viewers}).raise_for_status().json()["items"]
        wanted = [f"/v1/users/{user['user_id']}/recommendations?limit=10" for user in users]
        theirs = [f"/api/recommend/{viewer}?n=10" for viewer in task.viewers[: given.viewers]]
        for path in wanted * 2:
            first = ours.get(path).raise_for_status().json()
        for path in theirs * 2:
            gorse.get(path).raise_for_status()
        before = served.kept(ours)
        found: dict[str, list[float]] = {"ours": [], "gorse": [], "health_live": []}
        per_cpu: dict[str, list[float]] = {name: [] for name in found}
        redis = urlsplit(load_settings().redis.dsn()).port
        ports: dict[str, list[int | None]] = {
            "ours": [urlsplit(url).port, redis],
            "gorse": [PORT],
            "health_live": [urlsplit(url).port],
        }
        for _ in range(given.rounds):
            for name, of, paths in (
                ("ours", url, wanted),
                ("gorse", f"http://127.0.0.1:{PORT}", theirs),
                ("health_live", url, ["/health/live"]),
            ):
                spent = cpu_seconds(ports[name])
                found[name].append(round(rate(of, paths, given.seconds, given.connections), 1))
                spent = cpu_seconds(ports[name]) - spent
                per_cpu[name].append(round(found[name][-1] * given.seconds / max(spent, 0.01), 1))
                print(f"  {name}: {found[name][-1]:.0f}/s", file=sys.stderr, flush=True)
        after = served.kept(ours)
    answers, made = (after[name] - before[name] for name in ("given", "made"))
    return {
        "generator": "wrk" if rate is served.by_wrk else "asyncio",
        "connections": given.connections,
        "seconds": given.seconds,
        "viewers": {"ours": len(wanted), "gorse": len(theirs)},
        "data_hash_of_gorse": dataset.data_hash,
        "gorse_version": VERSION,
        "gorse_waited_s": round(waited, 1),
        "source": first["source"],
        "model_version": first["model_version"],
        "requests_per_s": found,
        "per_cpu_s": per_cpu,
        "share_of_kept_answers": round(answers / max(1.0, answers + made), 4),
        "ratio": round(statistics.median(found["ours"]) / statistics.median(found["gorse"]), 2),
        "ratios_of_rounds": [round(a / b, 2) for a, b in zip(found["ours"], found["gorse"], strict=True)],
        "ratio_per_cpu_s": round(statistics.median(per_cpu["ours"]) / statistics.median(per_cpu["gorse"]), 2),
        "limit": LIMIT,
    }


def cpu_seconds(ports: Sequence[int | None]) -> float:
    """Processor time so far of whoever listens on these ports, and of their children."""
    listening = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.port in ports and found.pid
    }
    family = {pid for each in listening for pid in (each, *(one.pid for one in psutil.Process(each).children(True)))}
    times = [psutil.Process(pid).cpu_times() for pid in family]
    return float(sum(time.user + time.system for time in times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="what gorse is loaded with; files only")
    parser.add_argument("--url", help="where our API answers; default: the running one")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    url = given.url or load_settings().api.url
    if url is None:
        parser.exit(2, "the API is not running: bin/nexus up starts it, or give --url\n")
    found = measure(url, given)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return 0 if found["ratio"] >= LIMIT and found["share_of_kept_answers"] >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
