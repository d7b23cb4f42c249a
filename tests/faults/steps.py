"""The steps of the pipeline, each with what gives it something to do, so that a kill meets it at work.

Belongs here: one entry per step. Does not belong here: killing (platform.py), what must hold afterwards (tests, matrix.py).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.platform import Platform, until

Prepare = Callable[[Platform], None]


@dataclass(frozen=True)
class PipelineStep:
    """A step as the issue names it.

    Args:
        name: The issue's word.
        key: Dagster's name of the step that is interrupted.
        assets: What is run.
        prepare: Makes it work to do.
        after_s: How long after its beginning it is interrupted.
        is_same: Whether the tables are the same afterwards (new events change them).
    """

    name: str
    key: str
    assets: tuple[str, ...]
    prepare: Prepare
    after_s: float = 0.08
    is_same: bool = True


def _without(*tables: str) -> Prepare:
    """The tables are gone, so they are made from what they follow from."""

    def remove(platform: Platform) -> None:
        for table in tables:
            shutil.rmtree(platform.home / "lake" / table, ignore_errors=True)

    return remove


def send_ratings(platform: Platform, count: int = 40) -> set[str]:
    """Ratings by a new viewer, through the API; ids of those that were accepted."""
    mark = uuid.uuid4().hex[:10]
    events = [
        {"event_id": f"{mark}-{n}", "type": "rate", "user": f"fault:{mark}", "content": f"movielens:{n}", "value": 4}
        for n in range(1, count + 1)
    ]
    accepted: set[str] = set()

    def is_taken() -> bool:
        with platform.api() as api:
            answer = api.post("/v1/events", json={"events": events})
        if answer.status_code != 202:
            return False
        assert answer.json()["refused"] == []
        accepted.update(event["event_id"] for event in events)
        return True

    assert until(is_taken)
    return accepted


def _no_vectors(platform: Platform) -> None:
    with platform.postgres("nexus") as connection:
        connection.execute("delete from nexus_ai.embeddings")


def _new_ratings(platform: Platform) -> None:
    send_ratings(platform)


_CHANGED = ("raw_nexus__events", "core_nexus__events", "marts_nexus__interactions", "training_nexus__examples")
CANDIDATE = "model_recommender__candidate"
PIPELINE_STEPS = (
    PipelineStep("raw", "raw_movielens__ratings", ("raw_movielens__ratings",), _without("raw_movielens__ratings")),
    PipelineStep("core", "core_movielens__ratings", ("core_movielens__ratings",), _without("core_movielens__ratings")),
    PipelineStep("marts", "marts_nexus__interactions", ("marts_nexus__interactions",), _without("marts_nexus__interactions")),
    PipelineStep("features", "features_nexus__viewer", ("features_nexus__viewer",), _without("features_nexus__viewer")),
    PipelineStep("online store", "feast_online__recommender", ("feast_online__recommender",), lambda _: None, 2.0),
    PipelineStep("embeddings", "content_embeddings", ("content_embeddings",), _no_vectors, 1.0),
    PipelineStep("training", CANDIDATE, (*_CHANGED, CANDIDATE), _new_ratings, 8.0, is_same=False),
)  # fmt: skip
