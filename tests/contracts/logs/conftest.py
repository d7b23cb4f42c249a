"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus.lake.lake import Lake
from tests.contracts.logs.anvil import own_anvil

__all__ = ["own_anvil"]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = Lake(str(tmp_path / "lake"))
    yield made
    made.close()
