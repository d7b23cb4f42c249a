"""A home whose ports are chosen and whose endpoints are written, with nothing started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus.runtime import ports, processes, state
from nexus.runtime.home import Home
from nexus.runtime.state import State


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., State]:
    """Chooses ports and writes endpoints for a home, with given variables set."""
    monkeypatch.setattr(ports, "is_free", lambda _port, _host="": True)
    monkeypatch.setattr(processes, "other_homes", lambda _home: set())
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / "home"))

    def make(**variables: str) -> State:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        user = state.user_settings()
        home = Home(user.home)
        home.ensure()
        return state.prepare(home, user)

    return make
