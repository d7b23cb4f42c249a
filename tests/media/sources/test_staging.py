"""A load that is killed goes on where it stopped, and nothing takes it before it is whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from media.sources import staging
from media.sources.append import append
from media.sources.base import RATINGS, staged_loads
from media.sources.movielens import MovieLens
from nexus.errors import Category, NexusError
from nexus.lake.lake import Lake

ROWS = 2_300_000


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.3 million ratings in the 10M layout: two whole parts and a third."""
    path = tmp_path_factory.mktemp("big")
    with (path / "ratings.dat").open("w") as file:
        for start in range(0, ROWS, 100_000):
            file.write(
                "".join(f"{n // 40 + 1}::{n % 40 + 1}::4.5::{964982703 + n}\n" for n in range(start, start + 100_000))
            )
    (path / "movies.dat").write_text("".join(f"{n}::Movie {n} (1995)::Drama\n" for n in range(1, 41)))
    return path


def staged_in_a_process(path: Path, inbox: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from pathlib import Path; from media.sources.movielens import MovieLens;"
        "MovieLens(Path(sys.argv[1])).stage(Path(sys.argv[2]))"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(path), str(inbox)], start_new_session=True)


def parts(inbox: Path) -> list[Path]:
    return sorted(inbox.glob(f".partial-*/{RATINGS}/part-*.parquet"))


@pytest.mark.integration
def test_stage__killed_after_a_part__goes_on_and_the_result_is_that_of_one_go(big: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    process = staged_in_a_process(big, inbox)
    deadline = time.monotonic() + 60
    while not parts(inbox) and process.poll() is None and time.monotonic() < deadline:
        os.sched_yield()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = parts(inbox)
    assert kept, "the load was killed after its first part"
    assert staged_loads(inbox) == []
    before = {path.name: path.stat().st_mtime_ns for path in kept}

    staged = MovieLens(big).stage(inbox)
    assert (staged.is_new, staged.ratings_rows) == (True, ROWS)
    assert {path.name: path.stat().st_mtime_ns for path in staged.parts(RATINGS) if path.name in before} == before
    numbers = pq.read_table(staged.ratings_path, columns=["line_number"]).column(0).to_pylist()
    assert numbers == list(range(1, ROWS + 1))
    assert list(inbox.glob(".partial-*")) == []

    lake = Lake(str(tmp_path / "lake"))
    assert append(lake, staged, RATINGS).rows == ROWS
    assert append(lake, staged, RATINGS).rows == 0
    assert (lake.count(RATINGS), lake.last_key(RATINGS, f"load:{staged.load_id}")) == (ROWS, 3)


@pytest.mark.integration
def test_append__dies_between_commits__the_next_one_adds_only_what_is_missing(
    big: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = MovieLens(big).stage(tmp_path / "inbox")
    lake = Lake(str(tmp_path / "lake"))
    write, calls = Lake.write, []

    def dying(self: Lake, *args: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(self, *args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            append(lake, staged, RATINGS)
    assert lake.count(RATINGS) == 1_000_000
    done = append(lake, staged, RATINGS)
    assert (done.rows, done.rows_known, lake.count(RATINGS)) == (ROWS - 1_000_000, 1_000_000, ROWS)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three ratings."""
    path = tmp_path / "small"
    path.mkdir()
    (path / "ratings.dat").write_text("1::1::4::1\n2::1::4::1\n3::1::4::1\n")
    (path / "movies.dat").write_text("1::Movie (1995)::Drama\n")
    return path


@pytest.mark.unit
def test_stage__while_another_process_stages_the_same__is_refused(small: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    with pytest.raises(NexusError, match="loaded by another process") as caught, _half_staged(small, inbox):
        MovieLens(small).stage(inbox)
    assert caught.value.category is Category.CONFLICT
    assert MovieLens(small).stage(inbox).ratings_rows == 3


@pytest.mark.unit
def test_stage__a_full_disk__says_so_and_the_next_try_goes_on(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_write_part", full)
        with pytest.raises(NexusError, match="No space left") as caught:
            MovieLens(small).stage(tmp_path / "inbox")
    assert caught.value.category is Category.UNAVAILABLE
    assert staged_loads(tmp_path / "inbox") == []
    assert MovieLens(small).stage(tmp_path / "inbox").is_new


@pytest.mark.unit
def test_stage__what_nobody_went_on_with_for_a_week__is_removed(small: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    old, recent = inbox / ".partial-old", inbox / ".partial-recent"
    for path in (old, recent):
        path.mkdir(parents=True)
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (week_ago, week_ago))
    MovieLens(small).stage(inbox)
    assert (old.exists(), recent.exists()) == (False, True)


@pytest.mark.unit
def test_staged_loads__one_file_a_table_as_older_versions_wrote__is_still_read(small: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    staged = MovieLens(small).stage(inbox)
    for table in (staged.ratings_table, staged.titles_table):
        (part,) = staged.parts(table)
        part.rename(staged.folder / f"{table}.parquet")
        shutil.rmtree(staged.folder / table)
    (found,) = staged_loads(inbox)
    assert pq.read_table(found.ratings_path).num_rows == 3
    lake = Lake(str(tmp_path / "lake"))
    assert append(lake, found, RATINGS).rows == 3


class _half_staged:  # noqa: N801 a context manager reads like a word
    """The lock of a load that another process holds."""

    def __init__(self, path: Path, inbox: Path) -> None:
        load_id = MovieLens(path).stage(inbox).load_id
        shutil.rmtree(inbox / load_id)
        folder = inbox / f".partial-{load_id}"
        folder.mkdir()
        self._lock = staging._locked(folder / "lock")

    def __enter__(self) -> Iterator[None]:
        return iter(())

    def __exit__(self, *_: object) -> None:
        self._lock.close()
