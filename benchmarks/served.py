"""Recommendations answered a second when nothing changed, and the p99 of those that are made anew.

Run it beside a running API::

    .venv/bin/python -m benchmarks.served [--seconds 10] [--connections 32] [--viewers 200]

Protocol: the load generator (``wrk`` with one thread where it is installed, else one asyncio process of our own) shares the
machine with the API. First ``GET /health/live``, the peer: what this server answers at all. Then recommendations of
``--viewers`` viewers in turn, each asked once before the clock starts; the API's own counters say how many of them were
kept answers. Then, by :mod:`benchmarks.latency`, 100 requests a second for answers that are made anew (open loop).
Exit status 1 below 1,500 kept answers a second, above a p99 of 25 ms, or when answers were not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks import latency
from nexus.settings import load

KEPT_PER_S = 1_500
P99_MS = 25.0
RATE = 100.0
_WRK = """
local paths = {%s}
local place = 0
request = function()
  place = place %% #paths + 1
  return wrk.format("GET", paths[place])
end
"""


def by_wrk(url: str, paths: list[str], seconds: float, connections: int) -> float:
    """Answers a second, by wrk."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "paths.lua"
        script.write_text(_WRK % ", ".join(json.dumps(path) for path in paths))
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), url]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    match = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(match[1]) if match else 0.0


class Asker(asyncio.Protocol):
    """One connection that asks again as soon as it was answered."""

    def __init__(self, requests: list[bytes], place: int, counted: list[int]) -> None:
        self._requests, self._place, self._counted = requests, place, counted
        self._read, self._left = b"", -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        self._place = (self._place + 1) % len(self._requests)
        self._transport.write(self._requests[self._place])

    def data_received(self, data: bytes) -> None:
        """Count a whole answer, and ask again."""
        self._read += data
        if self._left < 0:
            end = self._read.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._read[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                sys.exit(head.decode())
            self._left = end + 4 + int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._read) >= self._left:
            self._read, self._left = b"", -1
            self._counted[0] += 1
            self._ask()


def by_asyncio(url: str, paths: list[str], seconds: float, connections: int) -> float:
    """Answers a second, by a client of our own."""
    parts = urlsplit(url)
    requests = [f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() for path in paths]
    counted = [0]

    async def ask() -> float:
        loop = asyncio.get_running_loop()
        for number in range(connections):
            await loop.create_connection(
                lambda place=number: Asker(requests, place * 7, counted), parts.hostname, parts.port
            )
        began, before = perf_counter(), counted[0]
        await asyncio.sleep(seconds)
        return (counted[0] - before) / (perf_counter() - began)

    return asyncio.run(ask())


def kept(client: httpx.Client) -> dict[str, float]:
    """The API's own counters: answers given again, and made anew."""
    found = re.findall(r'nexus_kept_answers_total\{outcome="(\w+)"\} ([\d.e+]+)', client.get("/metrics").text)
    return {"given": 0.0, "made": 0.0} | {name: float(value) for name, value in found}


def measure(url: str, seconds: float, connections: int, viewers: int) -> dict[str, Any]:
    rate = by_wrk if shutil.which("wrk") else by_asyncio
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        users = client.get("/v1/users", params={"limit": viewers}).raise_for_status().json()["items"]
        paths = [f"/v1/users/{user['user_id']}/recommendations?limit=10" for user in users]
        live = rate(url, ["/health/live"], seconds, connections)
        for path in paths * 2:  # the first time may find features of a viewer late; such an answer is not kept
            client.get(path).raise_for_status()
        before = kept(client)
        again = rate(url, paths, seconds, connections)
        after = kept(client)
    given, made = (after[name] - before[name] for name in ("given", "made"))
    anew = asyncio.run(latency.measure(url, 2_000, RATE))
    loaded: Any = anew[f"open_loop_{RATE:g}_per_s"]
    return {
        "generator": "wrk" if rate is by_wrk else "asyncio",
        "connections": connections,
        "viewers": len(paths),
        "kept_per_s": round(again),
        "limit_per_s": KEPT_PER_S,
        "health_live_per_s": round(live),
        "ratio_to_health_live": round(again / live, 2),
        "share_of_kept_answers": round(given / max(1.0, given + made), 4),
        "made_anew_at_100_per_s": loaded["recommendation"],
        "limit_p99_ms": P99_MS,
        "ratio_p50_to_health_live": loaded["ratio_p50"],
        "source": anew["source"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="where the API answers; default: the running one")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--viewers", type=int, default=200)
    given = parser.parse_args()
    url = given.url or load().api.url
    if url is None:
        parser.exit(2, "the API is not running: bin/nexus up starts it, or give --url\n")
    figures = measure(url, given.seconds, given.connections, given.viewers)
    print(json.dumps(figures, indent=1))
    is_fast = figures["kept_per_s"] >= KEPT_PER_S and figures["made_anew_at_100_per_s"]["p99_ms"] <= P99_MS
    if not is_fast or figures["share_of_kept_answers"] < 0.99:
        sys.exit(1)


if __name__ == "__main__":
    main()
