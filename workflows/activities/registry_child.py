"""A process of its own for one change of the registry: RegistryCommand in, one line of JSON out.

Belongs here: the call into training, and the answer's form: ``{"change": {...}}`` or ``{"error": {...}}``.
Does not belong here: the meaning of a promotion.
"""

from __future__ import annotations

import contextlib
import os
import sys

import orjson

from nexus import logs, telemetry
from nexus.errors import NexusError
from nexus.settings import Settings, load
from workflows.messages import RegistryChange, RegistryCommand


def main() -> int:
    """Read, act, answer."""
    logs.configure(part="registry-child")
    command = RegistryCommand.model_validate_json(sys.stdin.buffer.read())
    try:
        settings = load()
        telemetry.configure(settings, "registry-child")
        with (
            contextlib.redirect_stdout(sys.stderr),  # libraries print; standard output holds the answer only
            telemetry.attach(os.environ.get(telemetry.ENVIRONMENT)),
            telemetry.span(f"registry {command.action}", version=command.version),
        ):
            change = apply(settings, command)
        answer = {"change": change.model_dump(mode="json")}
    except NexusError as error:
        answer = {"error": error.as_dict()}
    sys.stdout.buffer.write(orjson.dumps(answer, default=str) + b"\n")
    return 0


def apply(settings: Settings, command: RegistryCommand) -> RegistryChange:
    """Make the change, unless an earlier delivery of the same command made it already."""
    from training import registry
    from training.bundle_format import read_pointer

    current = read_pointer(settings.bundle_url)
    if command.action == "rollback":
        if current == command.version:
            registry.rollback(settings)
    else:
        registry.promote(settings, command.version)
    return RegistryChange(champion=read_pointer(settings.bundle_url) or "", previous=current)


if __name__ == "__main__":
    sys.exit(main())
