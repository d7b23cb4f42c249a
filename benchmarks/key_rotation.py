"""Failed requests and unreadable payloads while the keyring's active key changes every few seconds under workflow traffic.

Run it beside a running platform (no data are needed; ``bin/nexus up --no-pipeline --only api --only worker`` will do)::

    .venv/bin/python -m benchmarks.key_rotation [--seconds 120] [--every 5] [--rate 4]

Traffic: titles are sent to the API at ``--rate`` a second (each starts a workflow of five activities), every operation
is asked about until it ends, and ten workflows that were begun before the first rotation wait for a person all the
while; each is queried (a round trip through the worker) every second and ended at the end. The full time has a rotation
every ``--every`` seconds through the workflow RotateKeys; an eighth of it before and one after have none: the peer.
At the end every payload of every history is decrypted.
Figures: requests that failed, operations that failed, payloads that could not be read; limit 0 of each. p50 and p99 of a request, with
rotations as a ratio against without; limit 2 for p50. Exit 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httpx
import numpy as np
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from nexus import temporal_names as names
from nexus.errors import NexusError
from nexus.payload_cipher import ENCODING
from nexus.settings import Settings, load
from workflows.client import connect, start_rotate_keys
from workflows.messages import Approval, PromoteModelRequest, PromotionStatus
from workflows.web3_client import wait_for

WAITING = 10
RATIO_LIMIT = 2.0
POLL_S = 0.25


@dataclass
class Tally:
    """What happened."""

    times_ms: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    operations: list[str] = field(default_factory=list)
    rotations: int = 0

    def figures(self) -> dict[str, float]:
        """Of the requests."""
        p50, p99 = np.percentile(self.times_ms, [50, 99])
        return {"requests": len(self.times_ms), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


async def asked(http: httpx.AsyncClient, tally: Tally, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """One request, timed; a failed one is counted."""
    began = perf_counter()
    try:
        answer = await http.request(method, path, json=body)
    except httpx.HTTPError as error:
        tally.failed[f"{method} {type(error).__name__}"] += 1
        return {}
    tally.times_ms.append((perf_counter() - began) * 1000)
    if answer.is_error:
        tally.failed[f"{method} {answer.status_code}"] += 1
        return {}
    return dict(answer.json())


async def one_title(http: httpx.AsyncClient, tally: Tally) -> None:
    """Send a title and follow its operation to the end."""
    name = uuid.uuid4().hex
    body = {"external_id": f"bench:{name}", "title": f"Title {name}", "content_type": "movie", "overview": "A test."}
    started = await asked(http, tally, "POST", "/v1/content", body)
    if "operation_id" not in started:
        return
    operation_id = str(started["operation_id"])
    tally.operations.append(operation_id)
    while True:
        status = await asked(http, tally, "GET", f"/v1/operations/{operation_id}")
        if status.get("state") == "completed":
            return
        if status.get("state") in {"failed", "cancelled"}:
            tally.failed["operation"] += 1
            return
        await asyncio.sleep(POLL_S)


async def traffic(
    http: httpx.AsyncClient, client: Client, tally: Tally, waiting: list[str], seconds: float, rate: float
) -> None:
    """Titles at a rate, queries beside them."""
    began = perf_counter()
    tasks = [asyncio.create_task(querying(client, tally, waiting, seconds))]
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))
        tasks.append(asyncio.create_task(one_title(http, tally)))
    await asyncio.gather(*tasks)


async def querying(client: Client, tally: Tally, waiting: list[str], seconds: float) -> None:
    """Ask each waiting workflow once a second."""
    ends = perf_counter() + seconds
    while perf_counter() < ends:
        for workflow_id in waiting:
            handle = client.get_workflow_handle(workflow_id)
            try:
                await handle.query(names.STATUS_QUERY, result_type=PromotionStatus)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is counted
                tally.failed[f"query {type(error).__name__}"] += 1
        await asyncio.sleep(1)


async def rotating(client: Client, settings: Settings, tally: Tally, every_s: float) -> None:
    """A new active key again and again."""
    while True:
        began = perf_counter()
        try:
            await wait_for(client, await start_rotate_keys(client, settings, "benchmark"))
            tally.rotations += 1
        except NexusError as error:
            tally.failed[f"rotation {error.category}"] += 1
        await asyncio.sleep(max(0.0, began + every_s - perf_counter()))


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload inside a message, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        items: Iterable[Any] = [value]
        if descriptor.message_type.GetOptions().map_entry:
            items = value.values()
        elif not hasattr(value, "ListFields"):
            items = value
        for item in items:
            if hasattr(item, "ListFields"):
                yield from payloads(item)


async def readable(client: Client, workflow_ids: Iterable[str]) -> Counter[str]:
    """How many encrypted payloads there are in these histories, under how many keys, and how many cannot be read."""
    found: Counter[str] = Counter()
    keys: set[bytes] = set()
    codec = client.data_converter.payload_codec
    for workflow_id in workflow_ids:
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        for event in history.events:
            for payload in payloads(event):
                if payload.metadata.get("encoding") != ENCODING or codec is None:
                    continue
                found["encrypted"] += 1
                keys.add(payload.metadata["encryption-key-id"])
                try:
                    await codec.decode([payload])
                except NexusError:
                    found["unreadable"] += 1
    found["keys"] = len(keys)
    return found


async def begin_waiting(client: Client, settings: Settings) -> list[str]:
    """Workflows that wait for a person."""
    started = []
    for number in range(WAITING):
        workflow_id = f"promote-bench-{uuid.uuid4().hex[:8]}-{number}"
        request = PromoteModelRequest(version="1", require_approval=True, model_name="bench", reason="benchmark")
        await client.start_workflow(
            names.PROMOTE_WORKFLOW, request, id=workflow_id, task_queue=settings.temporal.task_queue
        )
        started.append(workflow_id)
    return started


async def end_waiting(client: Client, tally: Tally, waiting: list[str]) -> None:
    """Say no; the arguments of the first day are read once more."""
    for workflow_id in waiting:
        handle = client.get_workflow_handle(workflow_id)
        try:
            await handle.execute_update(names.APPROVE_UPDATE, Approval(approved=False, by="benchmark"))
            result = await handle.result()
            tally.failed["waiting workflow"] += result["outcome"] != "rejected"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is counted
            tally.failed[f"end {type(error).__name__}"] += 1


async def measure(settings: Settings, seconds: float, every_s: float, rate: float) -> dict[str, Any]:
    """The whole run."""
    client = await connect(settings)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=settings.api.url or "", timeout=15, trust_env=False, limits=limits) as http:
        await one_title(http, Tally())  # loads the sentence model
        waiting = await begin_waiting(client, settings)
        still, moving = Tally(), Tally()
        await traffic(http, client, still, waiting, seconds / 8, rate)
        rotation = asyncio.create_task(rotating(client, settings, moving, every_s))
        await traffic(http, client, moving, waiting, seconds, rate)
        rotation.cancel()
        await asyncio.gather(rotation, return_exceptions=True)
        await traffic(http, client, still, waiting, seconds / 8, rate)
        await end_waiting(client, moving, waiting)
    found = await readable(client, [*waiting, *still.operations, *moving.operations])
    without, with_rotations = still.figures(), moving.figures()
    return {
        "seconds": seconds,
        "rotations": moving.rotations,
        "operations": len(moving.operations),
        "without_rotations": without,
        "with_rotations": with_rotations,
        "ratio_p50": round(with_rotations["p50_ms"] / without["p50_ms"], 2),
        "failed": dict(+moving.failed) | {f"{name} (before)": count for name, count in (+still.failed).items()},
        "payloads": {name: found[name] for name in ("encrypted", "keys", "unreadable")},
    }


def is_met(report: dict[str, Any]) -> bool:
    """Whether every limit is kept, and anything was measured at all."""
    counted = report["payloads"]
    return (
        not report["failed"]
        and not counted["unreadable"]
        and counted["encrypted"] > 0
        and counted["keys"] > 1
        and report["ratio_p50"] <= RATIO_LIMIT
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--rate", type=float, default=4, help="titles a second")
    given = parser.parse_args()
    settings = load()
    if settings.api.url is None:
        parser.exit(2, "the platform is not running: bin/nexus up starts it\n")
    report = asyncio.run(measure(settings, given.seconds, given.every, given.rate))
    print(json.dumps(report, indent=2))
    sys.exit(0 if is_met(report) else 1)


if __name__ == "__main__":
    main()
