"""Every part killed in the middle of every step: 99 kills, about an hour on two cores. Run it by hand:

    NEXUS_TEST_FAULT_MATRIX=1 bin/nexus test tests/faults/test_matrix.py -v -s

``NEXUS_TEST_FAULT_HOME=/tmp/h`` keeps the platform's home between runs. test_kills.py takes one kill of each part, and
one in each step, from the same table.
"""

from __future__ import annotations

import pytest

from tests.faults import check
from tests.faults.kills import killed_in_step
from tests.faults.platform import PARTS, SUPERVISOR, Platform
from tests.faults.steps import PIPELINE_STEPS, PipelineStep
from tests.faults.workflows import WORKFLOW_STEPS, WorkflowStep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _up(platform: Platform) -> None:
    platform.well("up")


@pytest.mark.parametrize("part", [*PARTS, SUPERVISOR])
@pytest.mark.parametrize("step", PIPELINE_STEPS, ids=lambda step: step.name)
def test_kill__part_in_the_middle_of_a_step__same_tables(platform: Platform, step: PipelineStep, part: str) -> None:
    before = check.Before.of(platform)
    was_in_step, said = killed_in_step(platform, step, part)
    check.nothing_lost(platform, before, is_same=step.is_same)
    print(f"MATRIX {step.name:<14} {part:<18} {'middle' if was_in_step else 'beside'} {said}")  # noqa: T201


@pytest.mark.parametrize("part", [*PARTS, SUPERVISOR])
@pytest.mark.parametrize("step", WORKFLOW_STEPS, ids=lambda step: step.name)
def test_kill__part_in_the_middle_of_a_workflow__ends_once(platform: Platform, step: WorkflowStep, part: str) -> None:
    before = check.Before.of(platform)
    was_in_step, said = step.run(platform, part)
    check.nothing_lost(platform, before)
    print(f"MATRIX {step.name:<14} {part:<18} {'middle' if was_in_step else 'beside'} {said}")  # noqa: T201
