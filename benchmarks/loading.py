"""Memory and rows per second of loading: staging a MovieLens 10M-like file, then appending it to the raw table.

    .venv/bin/python benchmarks/loading.py [--rows 4000000 10000000 20000000] [--folder /tmp]

Protocol: for each size a file of ratings in the 10M layout (``user::movie::stars::seconds``) and 10,000 titles are
made; a process of its own stages and appends it through the same functions as ``bin/nexus load movielens`` and the raw
asset, and says its peak resident memory (ru_maxrss), less that of the same process after loading 50,000 rows: what the
code itself takes. Rows per second are of staging (hash, read, write text with line numbers) and of the append (checks,
commit), and of both. The peer, in the same run and in a process of its own: polars' ``read_csv`` of the same file with
one separator, ``write_parquet`` with zstd: it checks nothing, keeps no text, line or reason.

A load goes in parts of a million rows. During the first four the allocators' pools still fill (762 to 855 MB); from then
on resident memory stays within 750 to 855 MB up to part 20. So the smallest size has four parts.

Limits: the largest load takes at most 1.2 times the memory of the smallest; both steps together load at least a twentieth
of the peer's rows per second. Exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MAX_GROWTH = 1.2
MIN_OF_PEER = 1 / 20
TITLES = 10_000
_BATCH = 100_000

LOAD = """
import json, resource, sys, time
from pathlib import Path
from media.sources.append import append
from media.sources.base import RATINGS
from media.sources.movielens import MovieLens
from nexus.lake.lake import Lake
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
data, home = Path(sys.argv[1]), Path(sys.argv[2])
warm = MovieLens(data.parent / "warm").stage(home / "warm-inbox")
append(Lake(str(home / "warm-lake")), warm, RATINGS)
before, start = peak(), time.perf_counter()
staged = MovieLens(data).stage(home / "inbox")
middle, staging = time.perf_counter(), peak()
rows = append(Lake(str(home / "lake")), staged, RATINGS).rows
end = time.perf_counter()
print(json.dumps({"rows": rows, "stage_s": middle - start, "append_s": end - middle, "code": before,
                  "staging": staging, "peak": peak()}))
"""
PEER = """
import json, sys, time
from pathlib import Path
import polars as pl
data, home = Path(sys.argv[1]), Path(sys.argv[2])
start = time.perf_counter()
frame = pl.read_csv(data / "peer.csv", has_header=False)
frame.write_parquet(home / "peer.parquet", compression="zstd")
print(json.dumps({"rows": frame.height, "seconds": time.perf_counter() - start}))
"""


def generate(path: Path, rows: int) -> None:
    """A data set in the 10M layout; the same rows every time."""
    import numpy as np

    path.mkdir(parents=True)
    titles = "".join(f"{n}::Movie {n} ({1930 + n % 90})::Comedy|Drama\n" for n in range(1, TITLES + 1))
    (path / "movies.dat").write_text(titles)
    random = np.random.default_rng(7)
    with (path / "ratings.dat").open("w") as file, (path / "peer.csv").open("w") as peer:
        for start in range(0, rows, _BATCH):
            count = min(_BATCH, rows - start)
            users = (np.arange(start, start + count) // 144 + 1).tolist()
            movies = random.integers(1, TITLES + 1, count).tolist()
            stars = (random.integers(1, 11, count) / 2).tolist()
            seconds = random.integers(800_000_000, 1_230_000_000, count).tolist()
            lines = [f"{u}::{m}::{s}::{t}\n" for u, m, s, t in zip(users, movies, stars, seconds, strict=True)]
            text = "".join(lines)
            file.write(text)
            peer.write(text.replace("::", ","))


def run(code: str, *arguments: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rows: int, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="nexus-bench-", dir=folder) as name:
        root = Path(name)
        generate(root / "data", rows)
        generate(root / "warm", 50_000)
        home = root / "home"
        home.mkdir()
        peer = run(PEER, root / "data", home)
        ours = run(LOAD, root / "data", home)
        shutil.rmtree(home)
    if (ours["rows"], peer["rows"]) != (rows, rows):
        raise SystemExit(f"rows are missing: {ours['rows']} and {peer['rows']} of {rows}")
    return ours, peer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[4_000_000, 10_000_000, 20_000_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is room")
    given = parser.parse_args()
    print(f"{'rows':>12} {'peak MB':>8} {'of it code':>10} {'stage rows/s':>13} {'append rows/s':>14} {'both':>10} "
          f"{'peer rows/s':>12} {'of peer':>8}")  # fmt: skip
    peaks, shares = [], []
    for rows in sorted(given.rows):
        ours, peer = measure(rows, given.folder)
        both = rows / (ours["stage_s"] + ours["append_s"])
        theirs = rows / peer["seconds"]
        peaks.append(ours["peak"])
        shares.append(both / theirs)
        print(f"{rows:>12,} {ours['peak'] / 1e6:>8.0f} {ours['code'] / 1e6:>10.0f} {rows / ours['stage_s']:>13,.0f} "
              f"{rows / ours['append_s']:>14,.0f} {both:>10,.0f} {theirs:>12,.0f} {shares[-1]:>8.3f}", flush=True)  # fmt: skip
    growth = peaks[-1] / peaks[0]
    print(f"memory of the largest over the smallest: {growth:.2f} (limit {MAX_GROWTH})")
    print(f"rows/s of the peer's, smallest: {min(shares):.3f} (limit {MIN_OF_PEER:.3f})")
    return int(growth > MAX_GROWTH or min(shares) < MIN_OF_PEER)


if __name__ == "__main__":
    sys.exit(main())
