"""A clock that jumps by a day, under a real Redis: no accepted event is lost and none is in the lake twice."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis as client

from nexus import events
from nexus.lake.drain import drain
from nexus.lake.lake import Lake
from nexus.runtime import ports, redis
from tests.faults.platform import until

pytestmark = pytest.mark.integration
DAY_S = 86_400
TABLE = "raw_nexus__events"


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that shifts the clock of the program that it is loaded into."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("NEXUS_TEST_CC: there is no C compiler to build the shifted clock with")
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


@contextmanager
def _redis(folder: Path, port: int, shim: Path, shift_s: int) -> Iterator[Any]:
    """Redis whose clock is shifted; killed at the end, as by a power cut."""
    command = redis.command(folder, port, "p")
    shifted = replace(command, env={"LD_PRELOAD": str(shim), "CLOCK_SHIFT_S": str(shift_s)})
    with (folder / "log").open("ab") as log:
        process = shifted.popen(log)
    try:
        with client.Redis.from_url(redis.url(port, "p")) as made:
            assert until(lambda: _answers(made))
            yield made
    finally:
        process.kill()
        process.wait(20)


def _answers(made: Any) -> bool:
    try:
        return bool(made.ping())
    except client.RedisError:
        return False


def _send(made: Any, ids: list[str]) -> int:
    """Accept events as the API does; how many were new."""
    now = datetime.now(UTC)
    raw = [{"event_id": one, "type": "view", "user": "t:1", "content": "t:2"} for one in ids]
    parsed = [events.parse(one, now=now)[0] for one in raw]
    return len(made.eval(events.ACCEPT_SCRIPT, 0, *events.accept_arguments(parsed)))


def _take(lake: Lake, made: Any) -> int:
    return drain(lake, made, stream=events.STREAM, field="event", table=TABLE).rows


@pytest.mark.parametrize("is_wiped", [False, True])
@pytest.mark.parametrize("jump_s", [-DAY_S, DAY_S])
def test_events__clock_jumps_between_two_starts_of_redis__are_in_the_lake_once(
    tmp_path: Path, shim: Path, jump_s: int, is_wiped: bool
) -> None:
    (port,) = ports.choose([ports.Wish("shifted-redis", 27_379)], {}).values()
    lake, folder = Lake(str(tmp_path / "lake")), tmp_path / "redis"
    first, second = ([f"{uuid.uuid4().hex}-{n}" for n in range(30)] for _ in range(2))
    with _redis(folder, port, shim, 0) as made:
        assert _send(made, first) == 30
        assert _take(lake, made) == 30
    if is_wiped:
        shutil.rmtree(folder)
    with _redis(folder, port, shim, jump_s) as made:
        shifted = int(made.time()[0]) - datetime.now(UTC).timestamp()
        assert abs(shifted - jump_s) < DAY_S / 2, "the shim has no hold on this Redis"
        assert _send(made, second) == 30
        assert _take(lake, made) == 30
        assert _send(made, second) == 0
        assert _take(lake, made) == 0
    found = Counter(orjson.loads(body)["event_id"] for body in lake.read(TABLE).column("body").to_pylist())
    assert found == Counter([*first, *second])
