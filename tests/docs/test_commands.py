"""Every command that the documentation shows is run, page by page, beside one platform on small data.

What a page marks ``sh no-test`` (needs a server that is not here) is only looked up; so are commands that end the
platform or begin it: tests/test_platform.py runs those.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nexus.cli.main import build_app
from nexus.settings import ROOT
from tests.faults.data import write_movielens
from tests.marks import exhaustive

ELSEWHERE = {"up", "down", "reset", "test"}
ENDLESS = re.compile(r"\blogs\b.*\s(-f|--follow)\b|--attach\b")
LIMIT_S = 900


@dataclass(frozen=True)
class Shell:
    """A folder in which ``bin/nexus`` is the real one and the state is a home of its own."""

    folder: Path
    home: Path

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=os.environ | {"NEXUS_HOME": str(self.home), "NEXUS_TRAINING__MAX_SECONDS": "10"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def well(self, line: str) -> str:
        done = self.run(line)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{line}\nended with {done.returncode}:\n{said[-3000:]}"
        assert "Traceback" not in said, said[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "bin").symlink_to(ROOT / "bin")
    (folder / "deploy").symlink_to(ROOT / "deploy")
    write_movielens(folder / "ml-latest-small")
    made = Shell(folder, tmp_path_factory.mktemp("home"))
    try:
        made.well("bin/nexus load movielens ml-latest-small")
        made.well("bin/nexus up")
        yield made
    finally:
        made.run("bin/nexus down")


@pytest.mark.unit
def test_every_page__its_commands__are_known(pages: Mapping[Path, Any], shell_blocks: Callable[[Any], Any]) -> None:
    unknown = [
        f"{path.relative_to(ROOT)}: {line}: {problem}"
        for path, page in pages.items()
        for _, lines in shell_blocks(page)
        for line in lines
        if "bin/nexus" in shlex.split(line) and (problem := _unknown(_arguments(line)))
    ]
    assert not unknown, "\n".join(unknown)


@pytest.mark.slow
@exhaustive
def test_every_page__its_commands__run(
    shell: Shell, pages: Mapping[Path, Any], shell_blocks: Callable[[Any], Any]
) -> None:
    failed: list[str] = []
    for path, page in pages.items():
        for fence, lines in shell_blocks(page):
            if fence.language != "sh" and len(fence.words) == 1 and "." in fence.words[0]:
                (shell.folder / fence.words[0]).write_text(fence.body)
            for line in lines:
                problem = _problem(shell, line, is_run="no-test" not in fence.words)
                if problem:
                    failed.append(f"{path.relative_to(ROOT)}: {line}\n{problem}")
    assert not failed, "\n\n".join(failed)


def _problem(shell: Shell, line: str, *, is_run: bool) -> str | None:
    is_ours = "bin/nexus" in shlex.split(line)
    if not is_run or (is_ours and (_arguments(line)[0] in ELSEWHERE or ENDLESS.search(line))):
        return None
    done = shell.run(_filled(shell, line))
    said = done.stdout + done.stderr
    return said[-1500:] if done.returncode != 0 or "Traceback" in said else None


def _arguments(line: str) -> list[str]:
    words = shlex.split(line)
    return words[words.index("bin/nexus") + 1 :]


def _unknown(words: list[str]) -> str | None:
    """What is wrong with the name of a command or an option."""
    command: Any = get_command(build_app())
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            is_lenient = command.context_settings.get("ignore_unknown_options", False)
            if name not in {*known, "--help", "-h"} and not is_lenient:
                return f"no option {name}"
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return None if word == "environment" else f"no command {word}"
            command = command.commands[word]
    return None


def _filled(shell: Shell, line: str) -> str:
    """The words in capitals that stand for something of the reader's."""
    fill: dict[str, Callable[[], str]] = {
        "PATH": lambda: "ml-latest-small",
        "VERSION": lambda: json.loads(shell.well("bin/nexus models list --json"))["models"][0]["version"],
        "RECOMMENDATION_ID": lambda: json.loads(shell.well("bin/nexus recommend movielens:1 --json"))[
            "recommendation_id"
        ],
        "TRACE_ID": lambda: _trace(shell),
    }
    for word, value in fill.items():
        if re.search(rf"(?<![\w$]){word}(?!\w)", line):
            line = re.sub(rf"(?<![\w$]){word}(?!\w)", value(), line)
    return line


def _trace(shell: Shell) -> str:
    import httpx

    url = next(
        part["url"] for part in json.loads(shell.well("bin/nexus status --json"))["parts"] if part["name"] == "api"
    )
    trace = f"{random.getrandbits(128):032x}"
    httpx.get(
        f"{url}/v1/models", headers={"traceparent": f"00-{trace}-{'1' * 16}-01"}, trust_env=False
    ).raise_for_status()
    return trace
