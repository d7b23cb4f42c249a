"""Programs that are fetched or built: once, by one process, whole or not at all."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from nexus.errors import Category, NexusError
from nexus.runtime.fetched import QUIET, Errand, fetched, npm_ci, run

pytestmark = pytest.mark.unit


class Bench:
    """A recipe and a count of how often it was made."""

    def __init__(self, folder: Path) -> None:
        self.tools, self.recipe, self.made = folder / "tools", folder / "recipe", 0
        self.recipe.write_text("version 1")

    def make(self, folder: Path) -> None:
        """Make the program."""
        self.made += 1
        (folder / "tool").write_text(self.recipe.read_text())
        (folder / "tool").chmod(0o755)

    def get(self, errand: Errand = QUIET) -> Path:
        """Have it."""
        return fetched("tool", "tool", [self.recipe], self.make, errand=errand, tools=self.tools)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_fetched__twice__is_made_once(bench: Bench) -> None:
    assert bench.get() == bench.get()
    assert bench.made == 1


def test_fetched__recipe_changed__is_made_anew(bench: Bench) -> None:
    bench.get()
    bench.recipe.write_text("version 2")
    assert bench.get().read_text() == "version 2"
    assert bench.made == 2


def test_fetched__eight_at_once__is_made_once_and_the_others_are_told(bench: Bench) -> None:
    said: list[str] = []
    gate = threading.Event()
    slow = bench.make

    def make(folder: Path) -> None:
        gate.wait(10)
        slow(folder)

    bench.make = make  # type: ignore[method-assign]

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 7:
            gate.set()

    with ThreadPoolExecutor(8) as pool:
        places = {job.result() for job in [pool.submit(bench.get, Errand(say)) for _ in range(8)]}
    assert (len(places), bench.made, len(said)) == (1, 1, 7)


def test_fetched__making_fails__leaves_nothing_and_the_next_one_tries_again(bench: Bench) -> None:
    good = bench.make

    def bad(folder: Path) -> None:
        (folder / "half").write_text("")
        raise NexusError("no network", category=Category.UNAVAILABLE)

    bench.make = bad  # type: ignore[method-assign]
    with pytest.raises(NexusError, match="no network"):
        bench.get()
    assert [path.name for path in bench.tools.iterdir()] == ["tool.lock"]
    bench.make = good  # type: ignore[method-assign]
    assert bench.get().is_file()


def test_fetched__nobody_waits_any_more__ends_the_wait(bench: Bench) -> None:
    inside, gate = threading.Event(), threading.Event()
    slow = bench.make

    def make(folder: Path) -> None:
        inside.set()
        gate.wait(10)
        slow(folder)

    bench.make = make  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(bench.get)
        inside.wait(10)
        with pytest.raises(NexusError, match="interrupted"):
            bench.get(Errand(is_cancelled=lambda: True))
        gate.set()
        assert job.result().is_file()


def test_fetched__checkout_cannot_be_written__says_so(bench: Bench) -> None:
    bench.tools.write_text("a file where the folder should be")
    with pytest.raises(NexusError) as caught:
        bench.get()
    assert caught.value.category == Category.UNAVAILABLE
    assert "PATH" in (caught.value.remedy or "")


def test_run__installer_fails__its_last_words_are_the_reason(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "print('all is well'); print('Error: no such package'); raise SystemExit(3)"]
    with pytest.raises(NexusError, match="ended with 3: Error: no such package"):
        run(words, tmp_path, remedy="mend it", timeout_s=20)


def test_run__cancelled__ends_the_installer_and_its_children(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', 'nexus-test-%d']).wait()"
    marker = f"nexus-test-{os.getpid()}"
    polls = iter([False, False, False])
    with pytest.raises(NexusError, match="interrupted"):
        run(
            [sys.executable, "-c", child % os.getpid()],
            tmp_path,
            remedy="",
            timeout_s=60,
            errand=Errand(is_cancelled=lambda: next(polls, True)),
        )
    left = [one for one in psutil.process_iter(["cmdline"]) if marker in (one.info["cmdline"] or [])]
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive


@pytest.mark.parametrize("words", [["/nonexistent/npm"], [sys.executable, "-c", "import time; time.sleep(60)"]])
def test_run__cannot_be_run_or_takes_too_long__is_unavailable(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(NexusError) as caught:
        run(words, tmp_path, remedy="mend it", timeout_s=0.3)
    assert caught.value.category == Category.UNAVAILABLE
    assert caught.value.remedy == "mend it"


def test_npm_ci__no_npm__is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NexusError, match="no npm"):
        npm_ci(tmp_path, tmp_path, remedy="install it")
