"""Marks that several areas share.

Belongs here: when a test is left out. Does not belong here: the three kinds of tests (pyproject.toml).
"""

from __future__ import annotations

import os

import pytest

IS_EXHAUSTIVE = os.environ.get("NEXUS_TEST_EXHAUSTIVE") == "1"
exhaustive = pytest.mark.skipif(
    not IS_EXHAUSTIVE, reason="takes minutes: NEXUS_TEST_EXHAUSTIVE=1 runs it, as .ci/run does"
)
