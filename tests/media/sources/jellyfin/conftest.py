"""A Jellyfin with a small library, and a lake to pull it into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from media.sources.jellyfin.client import Client
from media.sources.jellyfin.pull import INTERACTIONS, TITLES, Pulled, pull
from nexus.lake.lake import Lake
from nexus.settings import JellyfinSettings
from tests.media.sources.jellyfin.server import KEY, FakeJellyfin, movie, serving

Pull = Callable[..., dict[str, Pulled]]


@pytest.fixture
def server() -> Iterator[FakeJellyfin]:
    """Thirty movies, nobody yet."""
    with serving(FakeJellyfin(movies=[movie(number) for number in range(1, 31)])) as fake:
        yield fake
    assert fake.errors == []


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def waits() -> list[float]:
    """How long the client would have waited."""
    return []


@pytest.fixture
def pulls(server: FakeJellyfin, lake: Lake, waits: list[float]) -> Pull:
    """Pull once; settings may differ."""

    def run(*, tables: tuple[str, ...] = (TITLES, INTERACTIONS), key: str = KEY, **more: object) -> dict[str, Pulled]:
        settings = JellyfinSettings.model_validate(
            {"url": server.url, "api_key": key, "page_size": 20, "timeout_s": 5} | more
        )
        return pull(lake, settings, tables=tables, client=Client(settings, wait=waits.append))

    return run


def rows(lake: Lake, table: str) -> pl.DataFrame:
    """Everything in a raw table."""
    return lake.scan(table).collect()
