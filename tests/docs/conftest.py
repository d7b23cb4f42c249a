"""What the tests of the documentation share: the pages, their blocks of code, their links, the reference made anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from nexus.cli import docs
from nexus.cli.main import build_app
from nexus.settings import ROOT

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


class Fence(NamedTuple):
    """A block of code. ``sh`` is run; ``sh no-test`` is not; ``toml mapping.toml`` becomes that file before."""

    language: str
    words: tuple[str, ...]
    body: str


class Page(NamedTuple):
    """One page that a person reads."""

    path: Path
    text: str

    @property
    def fences(self) -> list[Fence]:
        return [Fence(found[1], tuple(found[2].split()), found[3]) for found in FENCE.finditer(self.text)]

    @property
    def links(self) -> list[str]:
        """Targets of all links, outside code."""
        return _LINK.findall(re.sub(r"`[^`\n]*`", "", FENCE.sub("", self.text)))

    @property
    def anchors(self) -> set[str]:
        """What the headings are called in links."""
        found: set[str] = set()
        for heading in _HEADING.findall(FENCE.sub("", self.text)):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
        return found


def commands(body: str) -> list[str]:
    """The lines of a shell block; comments and blank lines taken out, continued lines joined."""
    lines = (re.sub(r"\s+#\s.*$", "", line).strip() for line in body.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="session")
def reference() -> Mapping[str, str]:
    """The pages of the reference by file name, made now."""
    return {name: render() for name, render in docs.pages(build_app()).items()}


@pytest.fixture(scope="session")
def pages(reference: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Mapping[Path, Page]:
    """Every page by its real path; the reference is where ``bin/nexus docs`` puts it."""
    written = [path for path in (ROOT / "docs").rglob("*.md") if path.parent != docs.FOLDER]
    found = {path: Page(path, path.read_text()) for path in [ROOT / "README.md", *sorted(written)]}
    made = docs.write(
        tmp_path_factory.mktemp("reference"), {name: lambda text=text: text for name, text in reference.items()}
    )
    return found | {docs.FOLDER / path.name: Page(docs.FOLDER / path.name, path.read_text()) for path in made}


@pytest.fixture(scope="session")
def shell_blocks() -> Callable[[Page], list[tuple[Fence, list[str]]]]:
    """The blocks of a page in order, each with its command lines (none, for a block that is no shell)."""
    return lambda page: [(fence, commands(fence.body) if fence.language == "sh" else []) for fence in page.fences]
