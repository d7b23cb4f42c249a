from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nexus.settings import ROOT

pytestmark = pytest.mark.integration


def test_links__of_every_page__lead_to_a_file_and_a_heading(pages: Mapping[Path, Any]) -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not _leads(path, link, pages)
    ]
    assert not broken


def _leads(origin: Path, link: str, pages: Mapping[Path, Any]) -> bool:
    parts = urlsplit(link)
    if parts.scheme:
        return parts.scheme in {"http", "https"} and bool(parts.netloc)
    target = (origin.parent / parts.path).resolve() if parts.path else origin
    if not (target in pages or target.exists()):
        return False
    return not parts.fragment or (target in pages and parts.fragment in pages[target].anchors)


def test_how_to__each__is_listed_on_the_page_of_contents(pages: Mapping[Path, Any]) -> None:
    contents = ROOT / "docs" / "README.md"
    listed = {(contents.parent / link).resolve() for link in pages[contents].links if "://" not in link}
    missing = [path.name for path in pages if path.parent.name == "how-to" and path not in listed]
    assert not missing
