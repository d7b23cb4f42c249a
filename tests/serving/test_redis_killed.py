"""Redis dies and comes back while the API runs."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client_library
from pydantic import SecretStr

from nexus.runtime import ports, redis
from nexus.settings import RedisSettings

pytestmark = pytest.mark.integration


class Server:
    """A Redis of our own, to kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self._port,) = ports.choose([ports.Wish("mortal-redis", 26_379)], {}).values()
        self.url = redis.url(self._port, "mortal")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = redis.command(self._folder, self._port, "mortal").popen(log)
        deadline = time.monotonic() + 20
        with client_library.Redis.from_url(self.url) as connection:
            while time.monotonic() < deadline:
                try:
                    connection.ping()
                except client_library.RedisError:
                    continue
                return
        pytest.fail("redis did not start")

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


async def test_redis_killed__recommendations_go_on_unseen_only__events_are_refused_then_taken(
    world, serve, mortal
) -> None:
    settings = world.settings.model_copy(update={"redis": RedisSettings(url=SecretStr(mortal.url))})
    url = f"/v1/users/{world.viewer}/recommendations?limit=100"
    async with serve(settings) as client:
        kept = world.event("like")
        assert (await client.post("/v1/events", json={"events": [kept]})).json()["accepted"] == 1
        before = (await client.get(url)).json()

        mortal.kill()
        for _ in range(3):
            answer = await client.get(url)
            assert answer.status_code == 200
            assert answer.json()["source"] == "champion"
            assert world.titles[0] not in {ref for item in answer.json()["items"] for ref in item["external_ids"]}
        assert [item["content_id"] for item in answer.json()["items"]] == [
            item["content_id"] for item in before["items"]
        ]
        late = world.event("like", content=world.titles[4])
        refused = await client.post("/v1/events", json={"events": [late]})
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["remedy"]
        assert refused.headers["retry-after"]
        assert (await client.get("/health/ready")).json()["parts"]["redis"] == "away"

        await asyncio.to_thread(mortal.start)
        async with asyncio.timeout(20):
            while (again := await client.post("/v1/events", json={"events": [late, kept]})).status_code == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (again.json()["accepted"], again.json()["duplicates"]) == (1, 1)
        history = (await client.get(f"/v1/users/{world.viewer}/history")).json()["items"]
        assert {line["external_ids"][0] for line in history} == {world.titles[0], world.titles[4]}
