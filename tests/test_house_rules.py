"""Rules of the house that ruff and import-linter cannot say."""

import ast
import re
from pathlib import Path

import pytest

from nexus.settings import ROOT

pytestmark = pytest.mark.unit

ROOMS = ("nexus", "media", "contracts", "features", "training", "assets", "workflows", "serving")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
RAW_WRITES = {"saveAsTable", "writeTo", "insertInto", "write_deltalake"}


def _calls(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", [path for path in FILES if "lake" not in path.parts], ids=lambda path: path.name)
def test_tables__outside_the_lake__are_not_written(path: Path) -> None:
    assert not _calls(path) & RAW_WRITES
    assert not re.search(r"\.write\s*\.\s*(format|mode|option|save)\b", path.read_text())


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=str)
def test_init_files__everywhere__are_empty(path: Path) -> None:
    assert path.read_text() == ""


def test_readme__every_command__exists() -> None:
    from typer.main import get_command

    from nexus.cli.main import build_app

    known = set(get_command(build_app()).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"bin/nexus ([a-z]+)", (ROOT / "README.md").read_text()))
    assert named <= known
