from __future__ import annotations

import re
from pathlib import Path

import pytest

import serving

pytestmark = pytest.mark.unit
WEB = Path(serving.__file__).parent / "web"
SCRIPTS = sorted(WEB.rglob("*.js"))
TEXTS = [*SCRIPTS, *sorted(WEB.glob("*.css")), WEB / "index.html"]
HOSTS_ALLOWED = {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script__any__writes_data_as_text_only(path: Path) -> None:
    code = re.sub(r"//.*", "", path.read_text())
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", code)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_file__any__names_no_other_origin(path: Path) -> None:
    assert set(re.findall(r"https?://[^\s\"')]+", path.read_text())) <= HOSTS_ALLOWED


def test_index__strict_policy__has_nothing_inline() -> None:
    page = (WEB / "index.html").read_text()
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)|javascript:", page)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script__imports__exist(path: Path) -> None:
    wanted = re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", path.read_text())
    assert [one for one in wanted if not (path.parent / one).is_file()] == []


def test_index__links__exist() -> None:
    wanted = re.findall(r"/web/([^\"#]+)", (WEB / "index.html").read_text())
    assert wanted
    assert [one for one in wanted if not (WEB / one).is_file()] == []


def test_icons__used__are_in_the_sprite() -> None:
    sprite = set(re.findall(r'id="(\w+)"', (WEB / "icons.svg").read_text()))
    used = {name for path in SCRIPTS for name in re.findall(r'\bicon\("(\w+)"\)', path.read_text())}
    used |= set(re.findall(r"icons\.svg#(\w+)", (WEB / "index.html").read_text()))
    assert used <= sprite
