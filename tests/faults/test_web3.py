"""Chain, IPFS and worker killed in the middle of mints on a whole platform: each title has exactly one token in the end.

NEXUS_TEST_EXHAUSTIVE=1 bin/nexus test tests/faults/test_web3.py -v -s
"""

from __future__ import annotations

import pytest

from tests.faults import minting
from tests.faults.platform import SUPERVISOR, Platform, until
from tests.marks import exhaustive

pytestmark = [pytest.mark.slow, exhaustive]
TOGETHER = 3


@pytest.fixture(scope="module", autouse=True)
def _up(platform: Platform) -> None:
    platform.well("up", "--with", "web3", "--no-pipeline")


@pytest.mark.parametrize(
    ("parts", "moment"),
    [
        (("ipfs",), "decided"),
        (("worker",), "decided"),
        (("worker",), "signed"),
        (("chain",), "signed"),
        (("chain",), "mined"),
        (("worker",), "mined"),
        (("chain", "ipfs", "worker"), "signed"),
        ((SUPERVISOR, "chain", "worker"), "mined"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value,
)
def test_mint__parts_die_in_the_middle__each_title_has_one_token(
    platform: Platform, parts: tuple[str, ...], moment: str
) -> None:
    mints = minting.ask(platform, TOGETHER)
    was_there = minting.reached(platform, mints, moment)
    for part in parts:
        platform.kill(part)
    if SUPERVISOR in parts:
        platform.well("up", "--no-pipeline")
    assert until(lambda: minting.parts_answer(platform), pause_s=1.0)
    minting.all_end(platform, mints)
    tokens = minting.exactly_once(platform)
    print(f"MINTS {'+'.join(parts):<24} {moment:<8} {'middle' if was_there else 'beside'} {tokens} tokens")  # noqa: T201
