"""Events accepted a second by ``POST /v1/events`` in batches of 100, and whether all of them are in the lake afterwards.

Run it on a platform of its own: it adds viewers named ``bench:...`` with many events each::

    NEXUS_HOME=/tmp/bench bin/nexus up
    NEXUS_HOME=/tmp/bench .venv/bin/python -m benchmarks.events [--events 200000] [--connections 4]

Protocol: unique events of 2,000 viewers over 100 real titles, built before the clock starts, sent by a few connections
that each wait for an answer before they send the next batch; client, API, Redis (which syncs before it answers) and
Postgres share this machine. The peer is Redis alone: the same bodies through pipelines of 100 ``XADD``. Afterwards the
stream is drained by the pipeline's own function, and the rows of this run are counted in ``raw_nexus__events``: as many as
were accepted, each event id once. Exit status 1 when that fails or the rate is below the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from time import perf_counter, sleep
from typing import Any

import httpx
import numpy as np
import orjson
import polars as pl
import redis

from nexus import events
from nexus.lake.drain import drain
from nexus.lake.lake import opened
from nexus.settings import Settings, load

LIMIT_PER_S = 10_000
BATCH = 100
VIEWERS = 2_000
TABLE = "raw_nexus__events"
PROJECTED_WITHIN_S = 600.0
KINDS: tuple[tuple[str, float | None], ...] = (("view", 0.9), ("rate", 4.0), ("like", None), ("view", None))


def titles(url: str) -> list[str]:
    """Some titles that the platform knows: the most popular ones."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        viewer = client.get("/v1/users", params={"limit": 1}).raise_for_status().json()["items"][0]["user_id"]
        answer = client.get(f"/v1/users/{viewer}/recommendations", params={"limit": 100}).raise_for_status().json()
    return [item["external_ids"][0] for item in answer["items"] if item["external_ids"]]


def bodies(tag: str, count: int, content: list[str]) -> Iterator[bytes]:
    """Request bodies of unique events."""
    for start in range(0, count, BATCH):
        batch: list[dict[str, Any]] = []
        for number in range(start, min(start + BATCH, count)):
            kind, value = KINDS[number % len(KINDS)]
            event = {
                "event_id": f"{tag}-{number}",
                "type": kind,
                "user": f"bench:{tag}-{number * 7919 % VIEWERS}",
                "content": content[number * 104_729 % len(content)],
                "at": "2026-01-31T20:15:00Z",
            }
            batch.append(event if value is None else event | {"value": value})
        yield orjson.dumps({"events": batch})


async def send(url: str, waiting: list[bytes], connections: int) -> tuple[int, float, list[float]]:
    """Send all of them; returns how many events were accepted, in how many seconds, and the times of the batches."""
    accepted, times, queue = 0, [], iter(waiting)

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal accepted
        for body in queue:
            began = perf_counter()
            response = await client.post("/v1/events", content=body, headers={"content-type": "application/json"})
            times.append((perf_counter() - began) * 1000)
            answer = response.raise_for_status().json()
            accepted += answer["accepted"]
            if answer["refused"]:
                sys.exit(f"refused: {answer['refused'][0]}")

    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        began = perf_counter()
        await asyncio.gather(*(one(client) for _ in range(connections)))
        return accepted, perf_counter() - began, times


def raw_rate(client: redis.Redis, waiting: list[bytes], tag: str) -> float:
    """Events a second that Redis alone takes: the same bodies, pipelines of 100."""
    entries = [[orjson.dumps(event) for event in orjson.loads(body)["events"]] for body in waiting]
    key = f"nexus:bench:{tag}"
    try:
        began = perf_counter()
        for batch in entries:
            pipe = client.pipeline(transaction=False)
            for entry in batch:
                pipe.xadd(key, {"event": entry})
            pipe.execute()
        return sum(map(len, entries)) / (perf_counter() - began)
    finally:
        client.delete(key)


def projected(client: redis.Redis) -> float:
    """Seconds until the copy into Postgres has everything."""
    began = perf_counter()
    while perf_counter() - began < PROJECTED_WITHIN_S:
        groups: Any = client.xinfo_groups(events.STREAM)
        last = client.xinfo_stream(events.STREAM)["last-generated-id"]
        if all(group["last-delivered-id"] == last and not group["pending"] for group in groups):
            break
        sleep(0.2)
    return perf_counter() - began


def in_lake(settings: Settings, client: redis.Redis, tag: str) -> dict[str, float]:
    """Drain as the pipeline does, and count this run's rows."""
    with opened(settings) as lake:
        began = perf_counter()
        drain(lake, client, stream=events.STREAM, field="event", table=TABLE)
        seconds = perf_counter() - began
        ours = lake.scan(TABLE).select(pl.col("body").str.json_path_match("$.event_id").alias("event_id"))
        found = ours.filter(pl.col("event_id").str.starts_with(f"{tag}-")).collect()
        assert isinstance(found, pl.DataFrame)
    return {"rows": found.height, "different_event_ids": found["event_id"].n_unique(), "drain_s": round(seconds, 1)}


def measure(settings: Settings, url: str, count: int, connections: int) -> dict[str, Any]:
    tag = f"b{uuid.uuid4().hex[:8]}"
    content = titles(url)
    asyncio.run(
        send(url, list(bodies(f"{tag}w", 5_000, content)), connections)
    )  # connections, code and memory are warm
    waiting = list(bodies(tag, count, content))
    with closing(redis.Redis.from_url(settings.redis.dsn())) as client:
        peer = raw_rate(client, waiting[: max(1, len(waiting) // 4)], tag)
        accepted, seconds, times = asyncio.run(send(url, waiting, connections))
        behind_s = projected(client)
        lake = in_lake(settings, client, tag)
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "events": count,
        "connections": connections,
        "accepted": accepted,
        "accepted_per_s": round(accepted / seconds),
        "limit_per_s": LIMIT_PER_S,
        "batch_p50_ms": round(float(p50), 1),
        "batch_p99_ms": round(float(p99), 1),
        "redis_alone_per_s": round(peer),
        "ratio_to_redis_alone": round(accepted / seconds / peer, 3),
        "postgres_has_all_after_s": round(behind_s, 1),
        "lake": lake,
        "is_complete": lake["rows"] == lake["different_event_ids"] == accepted == count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=4)
    given = parser.parse_args()
    settings = load()
    if settings.api.url is None:
        parser.exit(2, "the API is not running: bin/nexus up starts it\n")
    figures = measure(settings, settings.api.url, given.events, given.connections)
    print(json.dumps(figures, indent=1))
    if not figures["is_complete"] or figures["accepted_per_s"] < LIMIT_PER_S:
        sys.exit(1)


if __name__ == "__main__":
    main()
