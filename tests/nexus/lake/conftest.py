"""One compute session for all lake tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nexus.lake.lake import Lake


@pytest.fixture
def lake(tmp_path: object) -> Iterator[Lake]:
    """An empty lake without a session."""
    made = Lake(str(tmp_path))
    yield made
    made.close()


@pytest.fixture(scope="session")
def engine_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake whose session is shared."""
    made = Lake(str(tmp_path_factory.mktemp("lake")))
    yield made
    made.close()
