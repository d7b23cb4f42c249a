"""One kill in the middle of one step, and the run that goes on after it.

Belongs here: that sequence. Does not belong here: the steps (steps.py), what must hold afterwards (check.py).
"""

from __future__ import annotations

from nexus.errors import NexusError
from tests.faults.platform import SUPERVISOR, KillInStep, Platform
from tests.faults.steps import PipelineStep

TRIES = 3


def killed_in_step(platform: Platform, step: PipelineStep, part: str) -> tuple[bool, str]:
    """Kill a part while a step is at work, and run it again until it is done.

    Returns:
        Whether the step was at work when the part died, and how each run ended.
    """
    step.prepare(platform)
    killer = KillInStep(platform, step.key, part, after_s=step.after_s)
    ends = [_run(platform, step)]
    killer.join()
    assert killer.killed_pid is not None, "the step never began"
    if part == SUPERVISOR:
        platform.well("up", "--no-pipeline")
    while ends[-1] != "SUCCESS" and len(ends) < TRIES:
        ends.append(_run(platform, step))
    assert ends[-1] == "SUCCESS", ends
    return killer.was_in_step, ", then ".join(ends)


def _run(platform: Platform, step: PipelineStep) -> str:
    try:
        outcome = platform.run(step.assets)
    except NexusError as error:
        return f"refused: {error.message[:160]} -> {error.remedy}"
    return outcome.status if outcome.is_success else f"{outcome.status}: {(outcome.reason or '')[:160]}"
