"""Seconds of the whole pipeline, training included: 100,004 ratings, and 1,000,209 in the MovieLens 1M layout.

    .venv/bin/python benchmarks/pipeline.py [--movielens PATH] [--only small|large]

Protocol: a fresh state folder, ``bin/nexus up``; the seconds are those of Dagster's run (first step to last), as its API
tells them: load, checks, core, marts, features, online store, embeddings, training, registration, gate, promotion.
The large data are generated (6,040 viewers, 3,706 titles, taste by clusters) unless ``--movielens`` names a folder or zip.
Limits: 120 s and 720 s on two quiet cores. Peak memory is that of the heaviest process of the run's (resident).
Exit status 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import httpx
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {"small": 120.0, "large": 720.0}
RATINGS, VIEWERS, TITLES, CLUSTERS = 1_000_209, 6_040, 3_706, 24
RUNS = '{runsOrError(filter: {pipelineName: "pipeline"}){... on Runs{results{status startTime endTime}}}}'


def nexus(home: Path, *words: str) -> str:
    done = subprocess.run(
        ["sh", "bin/nexus", *words], cwd=ROOT, env=os.environ | {"NEXUS_HOME": str(home)}, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(
            f"bin/nexus {' '.join(words)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def generate(folder: Path) -> Path:
    """``ratings.dat`` and ``movies.dat`` whose viewers prefer the titles of a few clusters."""
    chance = np.random.default_rng(1)
    folder.mkdir(parents=True)
    genres = ("Action", "Comedy", "Drama", "Crime", "Romance", "Thriller")
    cluster = chance.integers(0, CLUSTERS, TITLES)
    lines = [f"{n + 1}::Title {n + 1} ({1930 + n % 70})::{genres[cluster[n] % len(genres)]}" for n in range(TITLES)]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n", encoding="latin-1")
    known = 1.0 / (1.0 + chance.permutation(TITLES)) ** 0.8
    share = chance.pareto(1.2, VIEWERS) + 0.2
    counts = np.clip((share / share.sum() * RATINGS).astype(int), 20, TITLES // 2)
    counts[np.argsort(counts)[: (RATINGS - counts.sum()) % VIEWERS]] += 1
    left = RATINGS
    with (folder / "ratings.dat").open("w") as file:
        for viewer, count in enumerate(np.maximum(counts * RATINGS // counts.sum(), 20), start=1):
            liked = known * np.where(np.isin(cluster, chance.choice(CLUSTERS, 4)), 12.0, 1.0)
            titles = chance.choice(TITLES, size=min(int(count), TITLES - 1, left), replace=False, p=liked / liked.sum())
            at = 956_700_000 + int(chance.integers(0, 60_000_000)) + np.cumsum(chance.integers(0, 90, len(titles)))
            stars = chance.integers(1, 6, len(titles))
            file.writelines(f"{viewer}::{t + 1}::{s}::{m}\n" for t, s, m in zip(titles, stars, at, strict=True))
            left -= len(titles)
    return folder


def heaviest(home: Path, end: threading.Event, found: dict[str, float]) -> None:
    """Follow the largest resident process of the home."""
    while not end.wait(1.0):
        for process in psutil.process_iter():
            try:
                if process.environ().get("NEXUS_HOME") == str(home):
                    found["mb"] = max(found.get("mb", 0.0), process.memory_info().rss / 1e6)
            except psutil.Error:
                continue


def measure(name: str, data: Path | None) -> bool:
    home, end, peak = Path(tempfile.mkdtemp(prefix="nexus-bench-")), threading.Event(), {}
    watcher = threading.Thread(target=heaviest, args=(home, end, peak))
    try:
        if data is not None:
            print(nexus(home, "load", "movielens", str(data), "--no-run").strip().splitlines()[-1], flush=True)
        watcher.start()
        said = nexus(home, "up")
        print("\n".join(line for line in said.splitlines() if line.startswith("  ok") and " of " in line))
        url = next(
            part["url"]
            for part in json.loads(nexus(home, "status", "--json"))["parts"]
            if part["name"] == "dagster-webserver"
        )
        runs = httpx.post(f"{url}/graphql", json={"query": RUNS}, trust_env=False, timeout=30).json()["data"][
            "runsOrError"
        ]["results"]
        seconds = sum(run["endTime"] - run["startTime"] for run in runs if run["status"] == "SUCCESS")
        models = json.loads(nexus(home, "models", "list", "--json"))["models"]
    finally:
        end.set()
        nexus(home, "down")
        shutil.rmtree(home, ignore_errors=True)
    is_well = bool(models) and 0 < seconds <= LIMITS[name]
    print(f"{name}: pipeline {seconds:.0f} s, {seconds / LIMITS[name]:.2f} of the limit of {LIMITS[name]:.0f} s; "
          f"heaviest process {peak.get('mb', 0):.0f} MB; {'holds' if is_well else 'MISSED'}", flush=True)  # fmt: skip
    return is_well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movielens", type=Path, help="folder or zip for the large run")
    parser.add_argument("--only", choices=sorted(LIMITS))
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as folder:
        wanted = {"small": None, "large": None}
        if given.only != "small":
            wanted["large"] = given.movielens or generate(Path(folder) / "ml-1m")
        missed = [name for name, data in wanted.items() if given.only in (None, name) and not measure(name, data)]
        return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
