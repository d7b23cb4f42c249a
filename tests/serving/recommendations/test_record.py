"""Writing down what was served: the record, and a Redis that is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from redis.exceptions import ConnectionError as RedisAway

from nexus.served import FIELD, STREAM, Served, new_id
from serving.content.catalogue import Catalogue, Title
from serving.content.vectors import Vectors
from serving.metrics import Metrics
from serving.parts import Part
from serving.recommendations.library import Library
from serving.recommendations.reasons import reason
from serving.recommendations.record import Made, Recorder, record
from serving.recommendations.rungs import Pick, Source
from serving.recommendations.shares import Shares
from serving.viewers.viewer import Viewer

pytestmark = pytest.mark.unit
NAMES = [str(UUID(int=number)) for number in range(100, 104)]


def entry(event_id: str, name: str) -> Any:
    return {"event_id": event_id, "type": "view", "content_id": name, "value": None, "at_ms": 1}


def made(source: Source = Source.CONTENT) -> Made:
    library = Library(Catalogue(Title(name, f"title {name[-3:]}") for name in NAMES), Vectors(), None)
    viewer = Viewer(UUID(int=1), [entry("e2", NAMES[1]), entry("e1", NAMES[0])])
    pick = Pick(NAMES[2], 0.5, Shares([NAMES[0], NAMES[1]], np.array([0.1, 0.4])))
    why = reason(pick, source, library.catalogue)
    return Made(new_id(), datetime.now(UTC), viewer, library, source, [pick], [viewer.entries[0]], [why])


class Pipe:
    def __init__(self, redis: FakeRedis) -> None:
        self._redis = redis
        self._added: list[tuple[str, dict[str, bytes]]] = []

    def xadd(self, name: str, fields: dict[str, bytes], *, maxlen: int, approximate: bool) -> None:
        assert approximate
        assert maxlen > 0
        self._added.append((name, fields))

    async def execute(self) -> None:
        if self._redis.is_away:
            raise RedisAway
        self._redis.entries += self._added


class FakeRedis:
    def __init__(self) -> None:
        self.is_away = False
        self.entries: list[tuple[str, dict[str, bytes]]] = []

    def pipeline(self, **_: object) -> Pipe:
        return Pipe(self)


def test_record__an_answer__names_history_titles_scores_and_reasons() -> None:
    one = made()
    found = Served.model_validate_json(record(one))
    assert (found.recommendation_id, found.user_id, found.rung) == (one.recommendation_id, UUID(int=1), "content")
    assert (found.model_version, found.data_version) == (None, None)
    # the second reason is not among the lines that the rung looked at, and is named all the same
    assert [line.event_id for line in found.history] == ["e2", "e1"]
    (title,) = found.titles
    assert (str(title.content_id), title.title, title.score) == (NAMES[2], "title 066", 0.5)
    assert [(str(share.content_id), share.contribution) for share in title.because] == [
        (NAMES[1], 0.4),
        (NAMES[0], 0.1),
    ]


async def test_recorder__redis_comes_back__sends_what_waited_once() -> None:
    redis, metrics = FakeRedis(), Metrics()
    part = Part("redis")
    recorder = Recorder(redis, part, metrics)  # type: ignore[arg-type]
    answers = [made() for _ in range(20)]
    for one in answers:
        recorder.note(one)
    redis.is_away = True
    assert not await recorder.send()
    redis.is_away = False
    part._again_at = 0.0  # the pause after a failure is over
    assert await recorder.send()
    await recorder.stop()
    assert {name for name, _ in redis.entries} == {STREAM}
    ids = [Served.model_validate_json(fields[FIELD]).recommendation_id for _, fields in redis.entries]
    assert ids == [one.recommendation_id for one in answers]


async def test_recorder__more_than_fit__keeps_the_newest_and_counts_the_rest() -> None:
    redis, metrics = FakeRedis(), Metrics()
    recorder = Recorder(redis, Part("redis"), metrics, waiting=5)  # type: ignore[arg-type]
    answers = [made() for _ in range(8)]
    for one in answers:
        recorder.note(one)
    await recorder.stop()
    ids = [Served.model_validate_json(fields[FIELD]).recommendation_id for _, fields in redis.entries]
    assert ids == [one.recommendation_id for one in answers[3:]]
    assert b'nexus_served_records_total{outcome="dropped"} 3.0' in metrics.exposition()


async def test_recorder__stopped_while_a_batch_is_under_way__sends_it_once() -> None:
    redis, metrics = FakeRedis(), Metrics()
    recorder = Recorder(redis, Part("redis"), metrics)  # type: ignore[arg-type]
    answers = [made() for _ in range(12)]
    for one in answers:
        recorder.note(one)
    await asyncio.gather(recorder.send(), recorder.stop(), recorder.stop())
    ids = [Served.model_validate_json(fields[FIELD]).recommendation_id for _, fields in redis.entries]
    assert ids == [one.recommendation_id for one in answers]
