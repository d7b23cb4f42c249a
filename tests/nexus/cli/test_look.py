"""Tails of logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus.cli.look import follow
from nexus.cli.main import main
from nexus.runtime.home import Home

pytestmark = pytest.mark.unit


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    made = Home(tmp_path)
    made.ensure()
    made.log("api").write_text("".join(f"line {number}\n" for number in range(100)))
    return made


@pytest.mark.parametrize(("count", "first"), [("3", "line 97"), ("1", "line 99")])
@pytest.mark.usefixtures("home")
def test_logs__last_lines__are_shown(capsys: pytest.CaptureFixture[str], count: str, first: str) -> None:
    assert main(["logs", "api", "-n", count]) == 0
    assert capsys.readouterr().out.splitlines()[0] == first


@pytest.mark.usefixtures("home")
def test_logs__all_parts__say_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "-n", "1"]) == 0
    assert capsys.readouterr().out == f"{'api':<18} line 99\n"


def test_follow__file_is_rotated__goes_on_with_the_new_one(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    steps = iter([lambda: home.log("api").write_text("after rotation\n"), lambda: None])

    def is_going_on() -> bool:
        step = next(steps, None)
        if step is not None:
            step()
        return step is not None

    follow(home, ["api"], lines=0, is_going_on=is_going_on)
    assert capsys.readouterr().out == "after rotation\n"
