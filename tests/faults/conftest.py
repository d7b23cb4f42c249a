"""One platform on small data for every test of a file; the long matrix is collected only when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.data import write_movielens
from tests.faults.platform import Platform

collect_ignore = [] if os.environ.get("NEXUS_TEST_FAULT_MATRIX") else ["test_matrix.py"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A home with staged data, nothing started; stopped at the end. NEXUS_TEST_FAULT_HOME keeps one between runs."""
    kept = os.environ.get("NEXUS_TEST_FAULT_HOME")
    made = Platform(Path(kept) if kept else tmp_path_factory.mktemp("faults"))
    if not (made.home / "inbox").exists():
        made.well("load", "movielens", str(write_movielens(made.home / "data")), "--no-run")
    try:
        yield made
    finally:
        made.nexus("down")
