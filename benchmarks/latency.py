"""p50 and p99 of one uncached recommendation, as a ratio against the same server's /health/live.

Run it beside a running API::

    .venv/bin/python -m benchmarks.latency [--url http://127.0.0.1:8788] [--requests 2000] [--rate 100]

Viewers rotate, and every request says ``Cache-Control: no-cache``, so that each answer is made anew. Two ways are measured in one run:
one request at a time, and an open loop of ``--rate`` requests a second (a late answer does not slow the next request
down, so waiting counts).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from collections.abc import Iterator
from time import perf_counter

import httpx
import numpy as np

from nexus.settings import load

WARM_UP = 50


async def timed(client: httpx.AsyncClient, path: str, times: list[float]) -> None:
    began = perf_counter()
    response = await client.get(path, headers={"cache-control": "no-cache"})
    times.append((perf_counter() - began) * 1000)
    response.raise_for_status()


async def one_by_one(client: httpx.AsyncClient, paths: Iterator[str], count: int) -> list[float]:
    times: list[float] = []
    for path in itertools.islice(paths, count):
        await timed(client, path, times)
    return times


async def open_loop(client: httpx.AsyncClient, paths: Iterator[str], count: int, rate: float) -> list[float]:
    times: list[float] = []
    began = perf_counter()
    tasks = []
    for number, path in enumerate(itertools.islice(paths, count)):
        await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))
        tasks.append(asyncio.create_task(timed(client, path, times)))
    await asyncio.gather(*tasks)
    return times


def figures(times: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2), "max_ms": round(max(times), 2)}


async def measure(url: str, requests: int, rate: float) -> dict[str, object]:
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, limits=limits) as client:
        users = (await client.get("/v1/users", params={"limit": 1000})).json()["items"]
        wanted = [f"/v1/users/{user['user_id']}/recommendations?limit=10" for user in users]
        live = itertools.repeat("/health/live")
        await one_by_one(client, iter(wanted), len(wanted))  # each viewer once: fills what a first sight fills
        await one_by_one(client, live, WARM_UP)
        first = (await client.get(wanted[0])).json()
        alone = figures(await one_by_one(client, itertools.cycle(wanted), requests))
        floor = figures(await one_by_one(client, live, requests))
        loaded = figures(await open_loop(client, itertools.cycle(wanted), requests, rate))
        floor_loaded = figures(await open_loop(client, live, requests, rate))
    return {
        "source": first["source"],
        "model_version": first["model_version"],
        "viewers": len(users),
        "one_by_one": {"recommendation": alone, "health_live": floor, "ratio_p50": ratio(alone, floor)},
        f"open_loop_{rate:g}_per_s": {
            "recommendation": loaded,
            "health_live": floor_loaded,
            "ratio_p50": ratio(loaded, floor_loaded),
        },
    }


def ratio(one: dict[str, float], other: dict[str, float]) -> float:
    return round(one["p50_ms"] / other["p50_ms"], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="where the API answers; default: the running one")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=100.0)
    given = parser.parse_args()
    url = given.url or load().api.url
    if url is None:
        parser.exit(2, "the API is not running: bin/nexus up starts it, or give --url\n")
    print(json.dumps(asyncio.run(measure(url, given.requests, given.rate)), indent=1))


if __name__ == "__main__":
    main()
