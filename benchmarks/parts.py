"""Seconds of the first and second ``up``, and the memory of every part.

    .venv/bin/python benchmarks/parts.py [--idle 20]

Uses a fresh state folder under the system's temporary folder and removes it. The environment is already made when
this runs, so its set-up is not in the seconds (``time bin/nexus --help`` on a fresh clone gives that).
Limits on two quiet cores: first up 180 s, second up 20 s, all parts together 2.2 GiB; exit status 1 when one is missed.
Memory is the proportional set size (Linux), summed over each part's processes, after ``--idle`` seconds without requests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(home: Path, *words: str) -> tuple[float, str]:
    start = time.monotonic()
    done = subprocess.run(
        ["sh", "bin/nexus", *words],
        cwd=ROOT,
        env=os.environ | {"NEXUS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    if done.returncode:
        raise SystemExit(
            f"bin/nexus {' '.join(words)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return seconds, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds to wait before memory is read")
    idle = parser.parse_args().idle
    home = Path(tempfile.mkdtemp(prefix="nexus-bench-"))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    try:
        first, said = run(home, "up")
        print(said)
        print(f"first up   {first:7.1f} s")
        down, _ = run(home, "down")
        print(f"down       {down:7.1f} s")
        second, _ = run(home, "up")
        print(f"second up  {second:7.1f} s   {second / first:.2f} of the first")
        time.sleep(idle)
        parts = json.loads(run(home, "status", "--json")[1])["parts"]
        print(f"\n{'part':20} {'PSS MB':>8} {'RSS MB':>8}")
        for part in parts:
            print(f"{part['name']:20} {(part.get('pss_bytes') or 0) / 1e6:8.0f} {(part['rss_bytes'] or 0) / 1e6:8.0f}")
        idle_mb = sum((p.get("pss_bytes") or 0) for p in parts) / 1e6
        print(
            f"{'all':20} {sum((p.get('pss_bytes') or 0) for p in parts) / 1e6:8.0f} {sum((p['rss_bytes'] or 0) for p in parts) / 1e6:8.0f}"
        )
    finally:
        run(home, "down")
        shutil.rmtree(home, ignore_errors=True)
    held = {"first up": (first, 180.0), "second up": (second, 20.0), "idle MB": (idle_mb, 2.2 * 1024**3 / 1e6)}
    for name, (found, limit) in held.items():
        print(f"{name}: {found:.0f}, {found / limit:.2f} of the limit; {'holds' if found <= limit else 'MISSED'}")
    return int(any(found > limit for found, limit in held.values()))


if __name__ == "__main__":
    sys.exit(main())
