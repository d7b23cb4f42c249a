"""Identifiers, adding and getting: speed against named peers, and memory that does not grow with the file.

    .venv/bin/python -m benchmarks.ipfs [--mib 64 1024] [--rounds 3] [--folder /tmp]

Protocol: a Kubo node of its own is started on loopback (closed to the network, as the runtime starts it). For each size a
file of random bytes is made; each figure comes from a process of its own, the files are in the page cache.

- cid: ``cid_of_file`` against ``hashlib.file_digest(sha256)`` of the same file, each the best of ``rounds``, turn by turn.
- add: our client (streams, hashes, compares) against ``ipfs add --cid-version=1`` of the same binary through the same
  node with the same file added before (so that neither writes blocks the other did not), turn by turn.
- get: ``Retrieval.fetch_to`` from the node, and from its gateway as a CAR, against a plain download (``/api/v0/cat``) of the
  same file that checks nothing.
- memory: ru_maxrss of the processes that add and get the largest file over that of the smallest.

Limits: cid takes at most 1.15 times sha256's seconds; add at most 2.0 times the peer's; get at most 3.0 times the
unchecked download's; memory at most 1.15 times. Exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from nexus.runtime import kubo, ports
from nexus.runtime.kubo_repo import Ports, new_swarm_key, prepare

MIB = 1024 * 1024
LIMITS = {"cid": 1.15, "add": 2.0, "get_node": 3.0, "get_gateway": 3.0, "memory": 1.15}

ONE = """
import asyncio, hashlib, json, resource, sys, time
from pathlib import Path
import httpx
from contracts.client.ipfs import cids
from contracts.client.ipfs.gateways import Retrieval
from contracts.client.ipfs.node import Ipfs

what, path, url, gateway, cid = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]

async def work():
    if what == "add":
        async with Ipfs(url) as node:
            return (await node.add(path)).cid
    if what == "cat":
        with path.open("wb") as out:
            async with httpx.AsyncClient(trust_env=False, timeout=600) as http:
                async with http.stream("POST", f"{url}/api/v0/cat", params={"arg": cid}) as answer:
                    async for piece in answer.aiter_bytes():
                        out.write(piece)
        return ""
    async with Ipfs(url) as node:
        async with Retrieval(node if what == "get_node" else None, () if what == "get_node" else (gateway,)) as retrieval:
            await retrieval.fetch_to(cid, path)
    return ""

began = time.perf_counter()
if what == "cid":
    said = cids.cid_of_file(path)
elif what == "sha256":
    with path.open("rb") as file:
        said = hashlib.file_digest(file, "sha256").hexdigest()
else:
    said = asyncio.run(work())
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "said": said}))
"""


@contextmanager
def node(folder: Path) -> Iterator[tuple[str, str, str]]:
    """A node of our own: program, RPC address, gateway."""
    program = kubo.kubo_binary()
    chosen = list(ports.choose([ports.Wish(f"ipfs-{n}", 45_000 + n) for n in range(3)], {}).values())
    repo = folder / "repo"
    command = prepare(
        kubo.Program((program,), "kubo"), repo, Ports(*chosen), swarm_key=new_swarm_key(), is_public=False
    )
    with (folder / "log").open("wb") as log:
        process = command.popen(log)
    try:
        url = f"http://127.0.0.1:{chosen[0]}"
        for _ in range(600):
            try:
                httpx.post(f"{url}/api/v0/id", timeout=2, trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield program, url, f"http://127.0.0.1:{chosen[1]}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def one(what: str, path: Path, url: str = "", gateway: str = "", cid: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ONE, what, str(path), url, gateway, cid], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peer_add(program: str, url: str, path: Path) -> float:
    api = url.replace("http://", "/ip4/").replace(":", "/tcp/")
    words = [
        program,
        f"--api={api}",
        "add",
        "-Q",
        "--cid-version=1",
        "--chunker=size-1048576",
        "--max-file-links=1024",
        str(path),
    ]
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=os.environ | {"IPFS_PATH": str(path.parent / "repo")})
    return time.perf_counter() - began


def measure(folder: Path, size: int, rounds: int, program: str, url: str, gateway: str) -> dict[str, Any]:
    path, out = folder / f"{size}.bin", folder / "out.bin"
    with path.open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(MIB))
    cid = one("add", path, url)["said"]
    best: dict[str, float] = {}
    rss: dict[str, int] = {}

    def note(name: str, seconds: float, used: int = 0) -> None:
        best[name] = min(seconds, best.get(name, seconds))
        rss[name] = max(used, rss.get(name, 0))

    for _ in range(rounds):
        for name in ("cid", "sha256", "add"):
            found = one(name, path, url)
            note(name, found["seconds"], found["rss"])
            if name != "sha256" and found["said"] != cid:
                raise SystemExit(f"{name} says {found['said']}, not {cid}")
        note("ipfs_add", peer_add(program, url, path))
        for name in ("cat", "get_node", "get_gateway"):
            found = one(name, out, url, gateway, cid)
            note(name, found["seconds"], found["rss"])
            out.unlink()
    path.unlink()
    return {
        "mib": size,
        "seconds": {name: round(value, 3) for name, value in best.items()},
        "mib_per_s": {name: round(size / value) for name, value in best.items()},
        "rss_mb": {name: round(value / 1e6, 1) for name, value in rss.items() if value},
        "ratios": {
            "cid": round(best["cid"] / best["sha256"], 2),
            "add": round(best["add"] / best["ipfs_add"], 2),
            "get_node": round(best["get_node"] / best["cat"], 2),
            "get_gateway": round(best["get_gateway"] / best["cat"], 2),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, nargs="+", default=[64, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, node(Path(folder)) as (program, url, gateway):
        found = [measure(Path(folder), size, given.rounds, program, url, gateway) for size in sorted(given.mib)]
    small, large = found[0]["rss_mb"], found[-1]["rss_mb"]
    growth = {name: round(large[name] / small[name], 2) for name in ("cid", "add", "get_node", "get_gateway")}
    reached = found[-1]["ratios"] | {"memory": max(growth.values())}
    missed = [name for name, limit in LIMITS.items() if reached[name] > limit]
    print(
        json.dumps(
            {"sizes": found, "memory_growth": growth, "limits": LIMITS, "reached": reached, "missed": missed}, indent=1
        )
    )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
