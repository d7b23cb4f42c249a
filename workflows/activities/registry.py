"""The activity that changes the champion: it asks a child process, which imports MLflow and is gone afterwards.

MLflow's client costs 170 MB and some seconds of import, for a call a day; the worker stays lean without it. The child
(``python -m workflows.activities.registry_child``) reads a RegistryCommand on standard input and answers one line of
JSON. Does not belong here: what promote and rollback mean (training.registry).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
from temporalio import activity

from nexus import telemetry
from nexus.errors import Category, NexusError, unavailable
from nexus.logs import get
from nexus.settings import ROOT
from workflows.activities import names
from workflows.activities.edge import heartbeating, translated
from workflows.messages import RegistryChange, RegistryCommand

CHILD: tuple[str, ...] = (sys.executable, "-m", "workflows.activities.registry_child")


class RegistryActivities:
    """Changes the champion.

    Args:
        home: The state folder, for the child's settings.
        child: The command line of the child.
    """

    def __init__(self, home: Path, child: Sequence[str] = CHILD) -> None:
        self._home = home
        self._child = tuple(child)

    @activity.defn(name=names.CHANGE_REGISTRY)
    @translated
    async def change(self, command: RegistryCommand) -> RegistryChange:
        """Promote or roll back; asked twice for the same, it changes once."""
        async with heartbeating(command.action):
            answer = await self._ask(command)
        return RegistryChange.model_validate(answer)

    async def _ask(self, command: RegistryCommand) -> object:
        process = await asyncio.create_subprocess_exec(
            *self._child,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=os.environ
            | {"NEXUS_HOME": str(self._home), telemetry.ENVIRONMENT: telemetry.current_traceparent() or ""},
        )
        try:
            out, err = await process.communicate(command.model_dump_json().encode())
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return _read(out, err, process.returncode)


def _read(out: bytes, err: bytes, returncode: int | None) -> object:
    lines = out.strip().splitlines()
    try:
        answer = orjson.loads(lines[-1]) if lines else None
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict) or not {"change", "error"} & answer.keys():
        get(__name__).error("registry_child_failed", returncode=returncode, stderr=err.decode(errors="replace")[-4000:])
        raise unavailable(
            "the registry could not be asked", remedy="see bin/nexus logs worker and bin/nexus logs mlflow"
        )
    if "error" in answer:
        raise _error(answer["error"])
    return answer["change"]


def _error(facts: dict[str, str]) -> NexusError:
    own = ("message", "category", "field", "value", "remedy")
    return NexusError(
        facts["message"],
        category=Category(facts["category"]),
        field=facts.get("field"),
        value=facts.get("value"),
        remedy=facts.get("remedy"),
        **{key: fact for key, fact in facts.items() if key not in own},
    )
