"""The door: help, errors in words, exit codes, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from nexus.cli import main as door
from nexus.cli.main import main
from nexus.errors import Category, NexusError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / "home"))


def _with_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(door, "build_app", lambda: app)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["up", "--help"], ["down", "--help"], ["status", "--help"], ["logs", "--help"], ["test", "--help"]],
)
def test_main__help__shows_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "Example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("category", "code"), [(Category.INVALID, 2), (Category.UNAVAILABLE, 1), (Category.CONFLICT, 1)]
)
def test_main__known_error__says_field_value_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], category: Category, code: int
) -> None:
    _with_command(monkeypatch, NexusError("no", category=category, field="a.b", value="[x]", remedy="do this"))
    assert main([]) == code
    said = capsys.readouterr().err
    assert all(word in said for word in ("error: no", "field: a.b", "value: [x]", "remedy: do this"))


def test_main__unexpected_error__is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _with_command(monkeypatch, ZeroDivisionError("one\ntwo"))
    assert main([]) == 70
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "two" not in said
    assert "ZeroDivisionError: one\ntwo" in (tmp_path / "home" / "logs" / "cli.log").read_text()


def test_main__wrong_setting__names_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NEXUS_REDIS__PORT", "99999")
    assert main(["status"]) == 2
    assert "redis.port" in capsys.readouterr().err


def test_main__broken_settings_file__names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.toml").write_text("a = = 1")
    assert main(["status"]) == 2
    assert "settings.toml" in capsys.readouterr().err


def test_status__before_the_first_up__everything_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "postgres           stopped" in said
    assert "bin/nexus up" in said


def test_logs__unknown_part__lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "nonsense"]) == 2
    assert "dagster-code" in capsys.readouterr().err


def test_down__nothing_there__makes_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down"]) == 0
    assert not (tmp_path / "home").exists()
    assert "nothing runs" in capsys.readouterr().out


def test_reset__folder_that_is_not_ours__is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "photo.jpg").write_text("x")
    assert main(["reset", "--yes"]) == 1
    assert (tmp_path / "home" / "photo.jpg").exists()
    assert "NEXUS_HOME" in capsys.readouterr().err
