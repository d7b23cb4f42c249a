"""What must hold after every fault: the same tables, no event lost or doubled, no half-written model, no orphan.

Belongs here: looking. Does not belong here: breaking and mending.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Self

import orjson

from nexus.runtime.home import Home
from nexus.runtime.supervisor import Supervisor
from tests.faults.platform import PARTS, SUPERVISOR, Platform, until


@dataclass(frozen=True)
class Before:
    """What there was."""

    hashes: dict[str, str]
    event_ids: frozenset[str]

    @classmethod
    def of(cls, platform: Platform) -> Self:
        return cls(platform.hashes(), frozenset(event_ids(platform)))


def event_ids(platform: Platform) -> Counter[str]:
    """Ids of the events in the lake, each with how often it is there."""
    lake = platform.lake()
    if not lake.exists("raw_nexus__events"):
        return Counter()
    return Counter(orjson.loads(body)["event_id"] for body in lake.read("raw_nexus__events").column("body").to_pylist())


def nothing_lost(platform: Platform, before: Before, *, is_same: bool = True) -> None:
    """Assert it."""
    all_well(platform)
    ids = event_ids(platform)
    assert before.event_ids <= set(ids), "events are gone from the lake"
    assert [name for name, count in ids.items() if count > 1] == []
    if is_same:
        after = platform.hashes()
        changed = sorted(name for name in before.hashes if after.get(name) != before.hashes[name])
        assert changed == [], changed
    assert platform.unfinished_models() == []
    with platform.api() as api:
        answer = api.get("/v1/users/movielens:1/recommendations?limit=5")
    assert answer.status_code == 200, answer.text
    assert answer.json()["source"] == "champion"
    assert answer.json()["model_version"] == platform.champion().version


def all_well(platform: Platform) -> None:
    """Every part answers, each under the supervisor, and nothing else of this home runs."""
    assert until(platform.all_answer), platform.nexus("doctor")[1]
    assert until(lambda: orphans(platform) == []), orphans(platform)


def orphans(platform: Platform) -> list[str]:
    """Processes of the home that do not descend from its supervisor."""
    supervisor = Supervisor(Home(platform.home)).pid()
    found = platform.processes()
    left = []
    for part, processes in found.items():
        for process in processes:
            family = {process.pid, *(parent.pid for parent in process.parents())}
            if supervisor not in family:
                left.append(f"{part}:{process.pid}")
    assert set(found) <= {*PARTS, SUPERVISOR}, found
    return left
