"""The two workflows, interrupted in the middle: a title that comes in, a model that is promoted.

Belongs here: getting a workflow to the middle, and waiting for its end. Does not belong here: the pipeline (steps.py).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import psutil

from tests.faults.platform import SUPERVISOR, Platform, until

CHILD = "workflows.activities.registry_child"


@dataclass(frozen=True)
class WorkflowStep:
    """A workflow and how a part is killed in the middle of it; answers whether it was under way, and how it ended."""

    name: str
    run: Callable[[Platform, str], tuple[bool, str]]


def _operation(platform: Platform, operation_id: str) -> dict[str, object]:
    try:
        with platform.api() as api:
            answer = api.get(f"/v1/operations/{operation_id}")
    except httpx.HTTPError:
        return {}
    return dict(answer.json()) if answer.status_code == httpx.codes.OK else {}


def ingest(platform: Platform, part: str) -> tuple[bool, str]:
    """A title comes in and its vector waits for a locked table; then the part dies, then the table is free."""
    mark = uuid.uuid4().hex[:8]
    title = {"external_id": f"fault:{mark}", "title": f"Night Train {mark}", "content_type": "movie", "year": 2024}
    with platform.postgres("nexus") as locker:
        locker.execute("begin; lock table nexus_ai.embeddings in access exclusive mode")
        with platform.api() as api:
            started = api.post("/v1/content", json=title)
        assert started.status_code == httpx.codes.ACCEPTED, started.text
        operation_id = started.json()["operation_id"]

        def waits() -> bool:
            row = locker.execute("select exists (select from pg_locks where not granted)").fetchone()
            return bool(row and row[0])

        was_in_step = until(waits)
        platform.kill(part)
        if part != "postgres":
            locker.execute("rollback")
    if part == SUPERVISOR:
        platform.well("up", "--no-pipeline")
    assert until(lambda: _operation(platform, operation_id).get("state") == "completed"), _operation(
        platform, operation_id
    )
    with platform.postgres("nexus") as connection:
        counts = connection.execute(
            "select (select count(*) from nexus_core.content_external_ids where issuer = 'fault' and value = %(m)s),"
            " (select count(*) from nexus_ai.embeddings e join nexus_core.content c on c.id = e.content_id where c.title = %(t)s)",
            {"m": mark, "t": title["title"]},
        ).fetchone()
    assert counts == (1, 1), counts
    return was_in_step, "completed, stored once"


def _children() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if CHILD in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def promote(platform: Platform, part: str) -> tuple[bool, str]:
    """A version is promoted by hand and the part dies while the registry is being changed."""
    versions = [model["version"] for model in json.loads(platform.well("models", "list", "--json"))["models"]]
    served = platform.champion().version
    target = next((version for version in versions if version != served), served)
    asked = platform.start("models", "promote", target)
    homes = str(platform.home)
    is_there = until(
        lambda: any(child.environ().get("NEXUS_HOME") == homes for child in _children()) or asked.poll() is not None
    )
    was_in_step = is_there and asked.poll() is None
    platform.kill(part)
    said = asked.communicate(timeout=600)[0]
    assert "Traceback" not in said, said
    if part == SUPERVISOR:
        platform.well("up", "--no-pipeline")
    tries = 1
    while platform.champion().version != target and tries < 3:
        tries += 1
        platform.nexus("models", "promote", target)
        until(lambda: platform.champion().version == target, patience_s=30)
    assert platform.champion().version == target, said
    aliases = {m["version"]: m["aliases"] for m in json.loads(platform.well("models", "list", "--json"))["models"]}
    assert "champion" in aliases[target], aliases
    assert sum("champion" in names for names in aliases.values()) == 1, aliases
    return was_in_step, f"asked {tries}x; {said.strip().splitlines()[0][:80] if said.strip() else ''}"


WORKFLOW_STEPS = (WorkflowStep("ingest", ingest), WorkflowStep("promotion", promote))
