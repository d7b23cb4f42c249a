"""What tracing costs a request, as a ratio against the same request without it, in one process and one run.

Run it anywhere, no server is needed::

    .venv/bin/python -m benchmarks.tracing [--requests 3000] [--rounds 9]

Protocol: one FastAPI route that answers a prepared body (the cheapest thing that the API can do, so the ratio is the
worst one), called through ASGI without a network: plain, traced but not sampled (almost every recommendation), traced
and kept in the file (every operation). Rounds alternate, the median counts. The budget of a cached recommendation is
1/1,500 s = 667 us on two cores; a request that is not sampled may take 6 % of it for tracing. Exit status 1 when it
takes more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

from nexus import telemetry
from nexus.settings import Settings, TelemetrySettings
from serving.tracing import Traced

BUDGET_US = 1e6 / 1_500
LIMIT = 0.06
BODY = b"{}" * 500
SCOPE: dict[str, Any] = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
    "path": "/v1/users/movielens:1/recommendations", "raw_path": b"/", "query_string": b"limit=10", "root_path": "",
    "headers": [(b"host", b"nexus"), (b"accept", b"*/*"), (b"user-agent", b"benchmark")], "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}  # fmt: skip


def app(*, is_traced: bool) -> FastAPI:
    made = FastAPI()
    if is_traced:
        made.add_middleware(Traced)

    @made.get("/v1/users/{user_id:path}/recommendations")
    async def recommend(user_id: str) -> Response:  # noqa: ARG001
        return Response(BODY, media_type="application/json")

    return made


async def once(called: FastAPI, requests: int) -> float:
    """Processor time of a request, in microseconds."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    gc.collect()
    began = process_time()
    for _ in range(requests):
        await called(dict(SCOPE), receive, send)
    return (process_time() - began) / requests * 1e6


def measure(requests: int, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"plain": [], "not sampled": [], "kept": []}
    apps = {"plain": app(is_traced=False), "not sampled": app(is_traced=True), "kept": app(is_traced=True)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for name, called in apps.items():
                told = TelemetrySettings(sample_ratio=1.0 if name == "kept" else 0.0)
                traced = telemetry.configure(Settings(home=Path(folder), telemetry=told), "benchmark")
                took = asyncio.run(once(called, requests))
                traced.close()
                if number:  # the first round warms up
                    times[name].append(took)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    found = {name: statistics.median(times) for name, times in measure(given.requests, given.rounds).items()}
    added = {name: found[name] - found["plain"] for name in ("not sampled", "kept")}
    share = added["not sampled"] / BUDGET_US
    answer = {
        "processor_us_per_request": {name: round(value, 1) for name, value in found.items()},
        "added_us": {name: round(value, 1) for name, value in added.items()},
        "ratio_to_plain": {name: round(found[name] / found["plain"], 3) for name in added},
        "share_of_a_cached_recommendation": round(share, 4),
        "limit": LIMIT,
        "is_reached": share <= LIMIT,
    }
    print(json.dumps(answer, indent=2))
    return 0 if answer["is_reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
